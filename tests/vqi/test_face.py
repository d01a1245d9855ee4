"""``import vqi`` is cheap, and gives what programs use when they use it."""

import subprocess
import sys
import time

import pytest

import vqi

HEAVY = ("numpy", "PIL", "pydantic", "scipy", "torch", "openvino", "sklearn", "vqi.models")


def test_the_import_is_cheap() -> None:
    code = f"import sys; import vqi; vqi.__version__; dir(vqi); print([one for one in {HEAVY} if one in sys.modules])"
    bare, whole = ([sys.executable, "-c", one] for one in ("import sys", code))
    took = []
    for command in (bare, whole):
        costs = []
        for _ in range(3):  # the fastest of several: what else the machine does is not measured
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            costs.append(time.perf_counter() - began)
        took.append(min(costs))
    assert done.stdout == "[]\n"
    assert took[1] - took[0] < 0.1


def test_what_is_there() -> None:
    assert set(vqi.__all__) <= set(dir(vqi))
    assert vqi.VqiError.__module__ == "vqi.errors"
    assert vqi.Result.__module__ == "vqi.models.result"
    with pytest.raises(AttributeError, match="module 'vqi' has no attribute 'lode'"):
        _ = vqi.lode
    with pytest.raises(ImportError, match="cannot import name 'lode'"):
        from vqi import lode  # noqa: F401


@pytest.mark.slow
def test_what_runs_a_network() -> None:
    assert {one: getattr(vqi, one).__module__ for one in ("Model", "load", "fit")} == {
        "Model": "vqi.models.model",
        "load": "vqi.models.model",
        "fit": "vqi.models.fitting",
    }
