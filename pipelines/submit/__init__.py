"""Starts a run of the pipeline on a cluster: one module per backend that starts it, and one that talks to its API."""
