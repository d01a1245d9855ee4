"""Pod Security "restricted", for the steps and for the containers that Argo adds."""

from __future__ import annotations

from hera.workflows import models

from vqi_pipelines.argo.document import dump

# Argo's own containers carry no security context and no limits; a controller may set them for all, a template has to
# patch them in. They stream artifacts and need little.
_OWN = {
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
}


def pod_spec_patch() -> str:
    """What the pods' init and wait containers are set to."""
    init, wait = ({"name": name, **_OWN} for name in ("init", "wait"))
    return dump({"initContainers": [init], "containers": [wait]})


def pod_security(user: int) -> models.PodSecurityContext:
    """Of all containers of a pod."""
    return models.PodSecurityContext(
        run_as_non_root=True, run_as_user=user, seccomp_profile=models.SeccompProfile(type="RuntimeDefault")
    )


def container_security() -> models.SecurityContext:
    """Of a step: nothing but its outputs and /tmp can be written."""
    return models.SecurityContext(
        allow_privilege_escalation=False,
        capabilities=models.Capabilities(drop=["ALL"]),
        read_only_root_filesystem=True,
        run_as_non_root=True,
        seccomp_profile=models.SeccompProfile(type="RuntimeDefault"),
    )
