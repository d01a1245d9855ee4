"""``import vqi`` is cheap, and gives what programs use when they use it."""

import subprocess
import sys

import pytest

import vqi

HEAVY = ("numpy", "PIL", "pydantic", "scipy", "torch", "openvino", "sklearn", "vqi.models")


def test_the_import_is_cheap() -> None:
    """In processor time, which what else the machine does hardly changes."""
    code = (
        "import sys, time; began = time.process_time(); import vqi; took = time.process_time() - began; "
        f"vqi.__version__; dir(vqi); print(took); print([one for one in {HEAVY} if one in sys.modules])"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
        for _ in range(3)
    ]
    assert {loaded for _, loaded in said} == {"[]"}
    assert min(float(took) for took, _ in said) < 0.1


def test_what_is_there() -> None:
    assert set(vqi.__all__) <= set(dir(vqi))
    assert vqi.VqiError.__module__ == "vqi.errors"
    assert vqi.Result.__module__ == "vqi.models.result"
    assert vqi.ExportedModel.__module__ == "vqi.models.exported"
    assert vqi.load.__module__ == "vqi.models.loading"
    with pytest.raises(AttributeError, match="module 'vqi' has no attribute 'lode'"):
        _ = vqi.lode
    with pytest.raises(ImportError, match="cannot import name 'lode'"):
        from vqi import lode  # noqa: F401


@pytest.mark.slow
def test_what_runs_a_network() -> None:
    assert {one: getattr(vqi, one).__module__ for one in ("Model", "fit")} == {
        "Model": "vqi.models.model",
        "fit": "vqi.models.fitting",
    }
