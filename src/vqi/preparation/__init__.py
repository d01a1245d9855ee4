"""A shard to the artifact ``images``, and what to know of the data."""
