"""Pod Security "restricted", for the steps and for the containers that Argo adds."""

from __future__ import annotations

from hera.workflows import models

from vqi_pipelines.argo.document import dump

# Argo's own containers have no security context and no limits; a controller can set them for all workflows, a template
# has to patch them in. They stream artifacts and need few resources.
_OWN = {
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
}


def pod_spec_patch() -> str:
    """The settings of the pods' init and wait containers."""
    init, wait = ({"name": name, **_OWN} for name in ("init", "wait"))
    return dump({"initContainers": [init], "containers": [wait]})


def pod_security(user: int) -> models.PodSecurityContext:
    """The security context of all containers of a pod."""
    return models.PodSecurityContext(
        run_as_non_root=True, run_as_user=user, seccomp_profile=models.SeccompProfile(type="RuntimeDefault")
    )


def container_security() -> models.SecurityContext:
    """The security context of a step: only its outputs and /tmp are writable."""
    return models.SecurityContext(
        allow_privilege_escalation=False,
        capabilities=models.Capabilities(drop=["ALL"]),
        read_only_root_filesystem=True,
        run_as_non_root=True,
        seccomp_profile=models.SeccompProfile(type="RuntimeDefault"),
    )
