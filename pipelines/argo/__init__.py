"""The Argo backend: the typed graph of a compiled pipeline as a WorkflowTemplate and a CronWorkflow.

``lower`` turns a pipeline into a WorkflowTemplate: ``names`` and ``variants`` decide which templates there are,
``containers`` and ``graphs`` make them, ``arguments`` writes the references between braces, ``keys`` the places of
artifacts, ``retries`` and ``security`` do what their names say, ``workflow`` puts everything together. ``cron`` makes
the schedule. The models are hera's, for Argo 4.
"""

from vqi_pipelines.argo.cron import Schedule, cron_workflow
from vqi_pipelines.argo.document import to_yaml
from vqi_pipelines.argo.settings import Settings
from vqi_pipelines.argo.workflow import lower

__all__ = ["Schedule", "Settings", "cron_workflow", "lower", "to_yaml"]
