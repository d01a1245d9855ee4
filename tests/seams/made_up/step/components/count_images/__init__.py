"""The step ``count_images``."""
