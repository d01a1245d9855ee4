"""The service is what it says of itself: requests, right and wrong ones, are made from ``/openapi.json`` and sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz import fuzz_cases
from tests.vqi.serving.made import keeping
from tests.vqi.serving.test_server import running

CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the service says of itself; the requests go to it."""
    store: Path = tmp_path_factory.mktemp("verdicts")
    with running("bracket", "gear", keeping=keeping(store, "bracket", "gear"), queue=64) as one:
        yield schemathesis.openapi.from_url(f"{one.url}openapi.json")


@pytest.mark.parametrize("mode", GenerationMode)
@settings(
    max_examples=fuzz_cases(small=60, full=5_000), deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
def test_each_answer_is_one_of_those_described(described: Any, mode: GenerationMode, data: st.DataObject) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    operation = data.draw(st.sampled_from(operations))
    case = data.draw(operation.as_strategy(generation_mode=mode))
    case.call_and_validate(checks=CHECKS)
