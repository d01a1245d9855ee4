"""The Argo backend: the typed graph of a compiled pipeline as a WorkflowTemplate and a CronWorkflow.

``lower`` turns a pipeline into a WorkflowTemplate: ``names`` and ``variants`` say which templates there are,
``containers`` and ``graphs`` make them, ``arguments`` writes what stands between braces, ``keys`` where artifacts come
to stand, ``retries`` and ``security`` are what their names say, ``workflow`` puts it together. ``cron`` makes the
schedule. The models are hera's, for Argo 4.
"""

from vqi_pipelines.argo.cron import Schedule, cron_workflow
from vqi_pipelines.argo.document import to_yaml
from vqi_pipelines.argo.settings import Settings
from vqi_pipelines.argo.workflow import lower

__all__ = ["Schedule", "Settings", "cron_workflow", "lower", "to_yaml"]
