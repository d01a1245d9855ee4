"""Argo's validator, as the tests of the lowering use it."""

from tests.pipelines.argo.conftest import argo, lint

__all__ = ["argo", "lint"]
