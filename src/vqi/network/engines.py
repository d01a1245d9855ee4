"""Which engine and which precision run a network on this processor; needs no torch.

``auto`` picks by a fixed rule on what is installed and what the processor has, never by timing, because a run must be
repeatable.
"""

from __future__ import annotations

import importlib.util
from typing import get_args

from vqi.artifacts.backbone import Runtime
from vqi.config import Engine, Precision
from vqi.errors import VqiError, unknown
from vqi.system.processor import processor_flags

ORDER = ("openvino", "ipex", "eager")  # of what ``auto`` takes


def choose(engine: str, precision: str, flags: frozenset[str] | None = None) -> Runtime:
    """Pick the engine and the precision.

    Args:
        engine: ``auto``, ``ipex``, ``openvino`` or ``eager``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        flags: Of the processor; read from this machine when None.

    Returns:
        With ``auto``: bf16 where the processor is faster in it, else fp32; OpenVINO, or the next of ``ORDER`` where
        that is not installed.

    Raises:
        VqiError: An unknown name, or an engine that is not installed or does not compute in that precision on this
            processor.
    """
    _check_names(engine, precision)
    flags = processor_flags() if flags is None else flags
    native, slow = native_bf16(flags), bf16_is_slow(flags)
    if precision == "auto":
        precision = "bf16" if native and not slow else "fp32"
    has = f"a processor with {native}" if native else "a processor without bf16"
    has += ", which is faster in fp32" if slow else ""
    if engine != "auto":
        if not installed(engine):
            raise VqiError(f"engine '{engine}' is not installed: pip install 'vqi[torch]', or set engine to 'auto'")
        if not supports(engine, precision, flags):
            raise VqiError(
                f"engine '{engine}' computes in {precision} only on a processor with AVX-512, which this one is not: "
                "set precision to 'fp32', or engine to 'auto'"
            )
        return Runtime(engine=engine, precision=precision, reason=f"engine '{engine}' was asked for, on {has}")
    engine = next(name for name in ORDER if installed(name) and supports(name, precision, flags))
    return Runtime(engine=engine, precision=precision, reason=f"auto, on {has}")


def choose_like(
    made_with: Runtime, engine: str = "auto", precision: str = "auto", flags: frozenset[str] | None = None
) -> Runtime:
    """Pick the engine and the precision for what was made with others.

    Args:
        made_with: What it was made with.
        engine: ``auto`` = that of ``made_with`` where this machine has it, else what ``choose`` finds; or a name.
        precision: As ``engine``.
        flags: Of the processor; read from this machine when None.

    Raises:
        VqiError: As ``choose``.
    """
    _check_names(engine, precision)
    flags = processor_flags() if flags is None else flags
    if precision == "auto" and (made_with.precision == "fp32" or native_bf16(flags)):
        precision = made_with.precision
    known = installed(made_with.engine) and supports(made_with.engine, precision, flags)
    if engine != "auto" or precision == "auto" or not known:
        return choose(engine, precision, flags)
    found = choose(made_with.engine, precision, flags)
    same = precision == made_with.precision
    return found.model_copy(update={"reason": "as the model was made" if same else f"{precision} was asked for"})


def _check_names(engine: str, precision: str) -> None:
    for what, name, known in (("engine", engine, get_args(Engine)), ("precision", precision, get_args(Precision))):
        if name not in known:
            raise unknown(what, name, known)


def native_bf16(flags: frozenset[str]) -> str:
    """The flag by which the processor computes in bf16; '' where it does not."""
    return next((flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags), "")


def bf16_is_slow(flags: frozenset[str]) -> bool:
    """Whether the processor computes in bf16, but slower than in fp32: Intel's do without AMX (decision 0002)."""
    return native_bf16(flags) == "avx512_bf16" and "GenuineIntel" in flags


def supports(engine: str, precision: str, flags: frozenset[str]) -> bool:
    """Whether an engine has the precision on a processor with these flags: IPEX's bf16 kernels are AVX-512."""
    return engine != "ipex" or precision != "bf16" or "avx512f" in flags


def installed(engine: str) -> bool:
    """Whether the packages of an engine are there."""
    module = {"ipex": "intel_extension_for_pytorch", "openvino": "openvino"}.get(engine, "torch")
    return importlib.util.find_spec(module) is not None
