"""Argo's validator and its CRDs, as the tests of the lowering use them."""

from tests.pipelines.argo.conftest import argo, lint
from tests.pipelines.argo.crds import crd_problems, other_crd_problems

__all__ = ["argo", "crd_problems", "lint", "other_crd_problems"]
