"""The step ``summarize``."""
