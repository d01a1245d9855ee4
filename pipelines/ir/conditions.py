"""Conditions of tasks (dsl.If, dsl.Elif, dsl.Else): the comparisons that kfp writes, read, typed and decided."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vqi.errors import VqiError
from vqi_pipelines.ir.graph import Comparison, FromConstant, FromInput, Parameter
from vqi_pipelines.ir.values import KINDS, to_text, typed

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_INPUT = r"inputs\.parameter_values\['[^']+'\]"
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
# Texts are not escaped by kfp: one with a quote or a backslash means something else on Kubeflow, or nothing.
_OPERAND = rf"(?:int\({_INPUT}\)|double\(int\({_INPUT}\)\)|double\({_NUMBER}\)|{_INPUT}|'[^'\\]*'|true|false|{_NUMBER})"
_COMPARISON = re.compile(rf"(!\()?({_OPERAND}) (==|!=|<=|>=|<|>) ({_OPERAND})(\))? && ")
_ORDERED = ("STRING", "NUMBER_DOUBLE")


@dataclass(frozen=True)
class _Operand:
    source: FromConstant | FromInput
    type: str  # empty: that of the input


def read_condition(text: str, place: str) -> tuple[Comparison, ...]:
    """The comparisons of a condition, all of which must hold; the types of bare inputs are still open.

    Raises:
        VqiError: It is none that kfp's ``dsl.If`` writes.
    """
    found: list[Comparison] = []
    rest = f"{text} && "
    while rest:
        match = _COMPARISON.match(rest)
        if match is None or bool(match[1]) is not bool(match[5]):
            raise VqiError(
                f"{place}: expected comparisons as dsl.If writes them (of inputs, numbers, texts without quotes and "
                f"backslashes), got {text[:200]!r}"
            )
        left, right = _operand(match[2]), _operand(match[4])
        found.append(Comparison(left.source, match[3], right.source, left.type or right.type, bool(match[1])))
        rest = rest[match.end() :]
    return tuple(found)


def _operand(text: str) -> _Operand:
    name = re.search(r"\['([^']+)'\]", text)
    if name and not text.startswith("'"):
        return _Operand(FromInput(name[1]), "" if text.startswith("inputs.") else "NUMBER_DOUBLE")
    if text.startswith("'"):
        return _Operand(FromConstant(text[1:-1]), "STRING")
    if text in ("true", "false"):
        return _Operand(FromConstant(text == "true"), "BOOLEAN")
    return _Operand(FromConstant(float(text.removeprefix("double(").removesuffix(")"))), "NUMBER_DOUBLE")


def typed_condition(
    condition: tuple[Comparison, ...], inputs: Mapping[str, Parameter], place: str
) -> tuple[Comparison, ...]:
    """The comparisons with their types, after both sides were found to be of one.

    Args:
        condition: From ``read_condition``.
        inputs: Those of the task's component.
        place: Place in the IR.

    Raises:
        VqiError: An unknown input, or two types that cannot be compared.
    """
    return tuple(_typed(comparison, inputs, place) for comparison in condition)


def _typed(comparison: Comparison, inputs: Mapping[str, Parameter], place: str) -> Comparison:
    kinds = {_kind(side, inputs, place) for side in (comparison.left, comparison.right)}
    kind = kinds.pop()
    if kinds or (comparison.type and comparison.type != kind):
        raise VqiError(f"{place}: expected two values of one type, got {KINDS[kind]} and another")
    if kind not in (*_ORDERED, "BOOLEAN"):
        raise VqiError(f"{place}: expected texts, numbers or booleans to compare, got {KINDS[kind]}")
    if kind not in _ORDERED and comparison.operator not in ("==", "!="):
        raise VqiError(f"{place}: true and false are compared by == and !=, got '{comparison.operator}'")
    return replace(comparison, type=kind)


def _kind(side: FromConstant | FromInput, inputs: Mapping[str, Parameter], place: str) -> str:
    if isinstance(side, FromConstant):
        kinds: dict[type, str] = {str: "STRING", bool: "BOOLEAN"}
        return kinds.get(type(side.value), "NUMBER_DOUBLE")
    if side.name not in inputs:
        raise VqiError(f"{place}: the condition names the input '{side.name}', which the component does not have")
    kind = inputs[side.name].type
    return "NUMBER_DOUBLE" if kind == "NUMBER_INTEGER" else kind


def holds(condition: tuple[Comparison, ...], parameters: Mapping[str, Any]) -> bool:
    """Whether all comparisons hold.

    Raises:
        VqiError: A value is missing or of another type.
    """
    return all(_holds(comparison, parameters) for comparison in condition)


def _holds(comparison: Comparison, parameters: Mapping[str, Any]) -> bool:
    left, right = (_value(side, comparison.type, parameters) for side in (comparison.left, comparison.right))
    return OPERATORS[comparison.operator](left, right) is not comparison.negated


def _value(side: FromConstant | FromInput, kind: str, parameters: Mapping[str, Any]) -> Any:
    if isinstance(side, FromConstant):
        return side.value
    if side.name not in parameters:
        raise VqiError(f"the condition needs the parameter '{side.name}', which is not given")
    value = parameters[side.name]
    return to_text(value) if kind == "STRING" else typed(value, kind, f"parameter '{side.name}'")
