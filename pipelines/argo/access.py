"""What a workflow needs besides its template: a service account for Argo's own containers, and its token."""

from __future__ import annotations

from typing import Any


def access_objects(account: str) -> list[dict[str, Any]]:
    """ServiceAccount, Role, RoleBinding and the token of the account.

    The steps get no token. Argo's container next to a step gets one, mounted from a Secret, because the pod's own
    account is not mounted at all.

    Args:
        account: Name of all these objects.
    """
    subject = {"kind": "ServiceAccount", "name": account}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": account,
                "annotations": {"workflows.argoproj.io/service-account-token.name": token_name(account)},
            },
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": token_name(account),
                "annotations": {"kubernetes.io/service-account.name": account},
            },
            "type": "kubernetes.io/service-account-token",
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": account},
            "rules": [
                {
                    "apiGroups": ["argoproj.io"],
                    "resources": ["workflowtaskresults"],
                    "verbs": ["create", "patch"],
                },
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": account},
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def token_name(account: str) -> str:
    """The Secret with the token of an account, under the name that Argo looks for."""
    return f"{account}.service-account-token"
