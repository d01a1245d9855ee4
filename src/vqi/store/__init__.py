"""Object stores for what outlives a run: a folder or S3."""
