"""Starts a run of the pipeline on a cluster: for each backend a module that starts it and one that speaks to it."""
