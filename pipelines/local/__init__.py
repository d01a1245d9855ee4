"""The local backend: the compiled pipeline run on this machine, each step a subprocess or a container.

``execution`` walks the graph, ``steps`` runs one step of it, or takes an equal result that the ``cache`` finds;
``launch`` starts subprocesses, ``containers`` containers with what ``grants`` gives them; ``limits`` are a step's
limits of processor and memory. ``transfer`` stores artifacts, ``state`` is the state of the run, ``progress`` shows it.
``again`` runs a step of an earlier run again.
"""

from vqi_pipelines.local.execution import run_pipeline

__all__ = ["run_pipeline"]
