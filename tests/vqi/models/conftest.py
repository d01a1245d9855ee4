"""Both kinds of store, for the tests of versions, champions and their removal."""

from pathlib import Path

import pytest

from vqi.models.category import Category
from vqi.store.interface import Store
from vqi.store.opening import open_store


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty one, in a folder and on a real S3 server."""
    if request.param == "file":
        return open_store(f"file://{tmp_path}/store")
    request.getfixturevalue("s3_environment")
    return open_store(f"s3://models-tests/{tmp_path.name}")


@pytest.fixture
def category(store: Store) -> Category:
    """One that has no version yet."""
    return Category(store, "models/parts/mono/")
