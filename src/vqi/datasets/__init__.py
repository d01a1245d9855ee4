"""Data sources: where images come from, and one packed shard per category in the store."""
