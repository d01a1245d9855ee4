"""The step ``preprocess``."""
