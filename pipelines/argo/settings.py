"""The settings of a workflow on a cluster, which the pipeline itself does not contain."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vqi.errors import VqiError

_PREFIX = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*/)*")


@dataclass(frozen=True)
class Settings:
    """How a lowered pipeline behaves on a cluster."""

    name: str | None = None  # of the WorkflowTemplate; the pipeline's when None
    key_prefix: str = ""  # of all artifact keys, such as "runs/"
    service_account: str = "vqi"  # may create and patch workflowtaskresults; only Argo's own container gets its token
    user: int = 10001  # user id of the steps
    parallelism: int = 8  # pods of one run at the same time
    deadline_seconds: int = 86_400  # of a whole run
    keep_seconds: int = 604_800  # a run that has ended; its artifacts follow the rules of their bucket
    infrastructure_retries: int = 2
    pull_policy: str = "IfNotPresent"  # of a step that sets none; Kubernetes' default for "latest" is Always
    default_cpu: tuple[str, str] = ("250m", "1")  # request and limit of a step that names neither
    default_memory: tuple[str, str] = ("512Mi", "2Gi")
    scratch: str = "10Gi"  # of /tmp and of the outputs, each

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.key_prefix) or ".." in self.key_prefix:
            raise VqiError(
                f"key_prefix: expected folders that end with '/', such as 'runs/', without '..', "
                f"got '{self.key_prefix}'"
            )
        for name in ("parallelism", "deadline_seconds", "keep_seconds"):
            if getattr(self, name) < 1:
                raise VqiError(f"{name}: expected at least 1, got {getattr(self, name)}")
