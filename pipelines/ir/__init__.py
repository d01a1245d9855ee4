"""The compiled pipeline, read strictly: what all backends but Kubeflow work from.

``reader`` makes the typed ``graph``; ``tasks`` and ``platforms`` read its parts, ``node`` what no one may leave unread;
``references`` holds what is named against what is there. ``placeholders`` and ``values`` are what a step is told with,
``names`` how what it writes is called.
"""

from vqi_pipelines.ir.reader import read_ir

__all__ = ["read_ir"]
