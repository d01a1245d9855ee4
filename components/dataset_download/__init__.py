"""The step ``dataset_download``."""
