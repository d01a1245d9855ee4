"""The step ``feature_extract``."""
