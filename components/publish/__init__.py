"""The step ``publish``."""
