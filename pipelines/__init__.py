"""The pipeline, its compiled forms, what runs them, and the command ``vqi``."""
