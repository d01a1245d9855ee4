"""Visual quality inspection: learns what good parts look like and flags what is not."""

__version__ = "0.1.0"
