"""What the processes that run tests are like: one thread each, and without IPEX."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import threadpoolctl
import yaml

from tests import conftest
from vqi.system.processor import threads

ROOT = Path(__file__).parents[1]


def test_the_libraries_compute_with_one_thread() -> None:
    import scipy.linalg  # brings a BLAS of its own, in addition to numpy's

    assert scipy.linalg.blas
    assert threads() == 1
    assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} == {1}


def test_a_test_that_imports_ipex_fails(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "_imported", set())
    monkeypatch.setitem(sys.modules, "intel_extension_for_pytorch", ModuleType("ipex"))
    with pytest.raises(pytest.fail.Exception, match=r"intel_extension_for_pytorch was imported .* process of its own"):
        conftest.pytest_runtest_teardown(request.node)
    conftest.pytest_runtest_teardown(request.node)  # the next test is not to blame


def test_pre_commit_calls_what_make_check_calls() -> None:
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    checks = re.findall(r"\$\(BIN\)/(\S+(?: format| check)?)", recipe) + re.findall(r"check-\w+", recipe)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    called = " ".join(hook["entry"] for hook in hooks)
    assert len(checks) == len(hooks) == 7
    assert not [check for check in checks if check not in called]
