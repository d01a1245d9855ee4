"""The step ``evaluate``."""
