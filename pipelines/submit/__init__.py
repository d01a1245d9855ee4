"""``vqi submit``: starts a run of the pipeline on a cluster. A module a backend; ``command`` has the options."""

from vqi_pipelines.submit.command import submit

__all__ = ["submit"]
