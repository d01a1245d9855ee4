"""Both kinds of store, for the tests of what is kept there."""

from tests.vqi.models.conftest import store

__all__ = ["store"]
