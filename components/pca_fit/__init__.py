"""The step ``pca_fit``."""
