"""The compiled pipeline, read strictly: what all backends but Kubeflow work from.

``reader`` makes the typed ``graph``; ``tasks`` and ``platforms`` read its parts, ``node`` refuses unread keys.
``references`` checks that everything named exists. ``placeholders`` and ``values`` make what a step receives, ``names``
the names of what it writes.
"""

from vqi_pipelines.ir.reader import read_ir

__all__ = ["read_ir"]
