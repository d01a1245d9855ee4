"""What Kubernetes accepts in a pod: names, amounts, images. What it does not is refused when a pipeline is read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vqi.errors import VqiError
from vqi_pipelines.image_names import is_image

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_FACTORS = {"": 1.0, "m": 1e-3} | {letter: 1000.0**power for power, letter in enumerate("kMGTPE", start=1)}
_FACTORS |= {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)}
_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_OBJECT = re.compile(rf"{_PART}(?:\.{_PART})*")
_KEY_NAME = re.compile(r"[A-Za-z0-9](?:[-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_DATA_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
_VARIABLE = re.compile(r"[-._A-Za-z][-._A-Za-z0-9]*")
_OPERATORS, _EFFECTS = ("Exists", "Equal"), ("", "NoSchedule", "PreferNoSchedule", "NoExecute")


def quantity(text: str, place: str) -> float:
    """An amount as Kubernetes writes it, ``500m``, ``2``, ``512Mi``, ``1.5G``, as a number above 0.

    Raises:
        VqiError: It is not such an amount.
    """
    match = _QUANTITY.fullmatch(text)
    if not match or float(match[1]) == 0:
        raise VqiError(f"{place}: expected an amount such as 500m, 2, 512Mi or 4G, got '{text[:100]}'")
    return float(match[1]) * _FACTORS[match[2] or ""]


def check_image(text: str, place: str) -> None:
    """Check the name of a container image."""
    _no_parameter(text, place, "an image")
    if not is_image(text):
        raise VqiError(f"{place}: expected an image such as registry.example.com/name:tag, got '{text[:200]}'")


def check_variable(name: str, value: str, place: str) -> None:
    """Check an environment variable."""
    if not _VARIABLE.fullmatch(name):
        raise VqiError(f"{place}: expected the name of a variable, of letters, digits and '_', got '{name[:100]}'")
    _no_parameter(value, place, "an environment variable")


def check_amount(text: str, place: str) -> None:
    """Check an amount of a resource."""
    _no_parameter(text, place, "a resource")
    quantity(text, place)


def check_count(text: str, place: str) -> None:
    """Check a number of devices."""
    _no_parameter(text, place, "a resource")
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 6):
        raise VqiError(f"{place}: expected a whole number of devices, got '{text[:100]}'")


def check_resource(text: str, place: str) -> None:
    """Check the name of a device, such as ``nvidia.com/gpu``."""
    _no_parameter(text, place, "a resource")
    if "/" not in text or not _is_key(text):
        raise VqiError(f"{place}: expected a device such as nvidia.com/gpu, got '{text[:100]}'")


def check_object(name: str, place: str) -> None:
    """Check the name of a Secret, ConfigMap or PersistentVolumeClaim."""
    if len(name) > 253 or not _OBJECT.fullmatch(name):
        raise VqiError(f"{place}: expected a name of small letters, digits, '-' and '.', got '{name[:100]}'")


def check_data_key(key: str, place: str) -> None:
    """Check a key of a Secret or ConfigMap."""
    if not _DATA_KEY.fullmatch(key):
        raise VqiError(f"{place}: expected a key of letters, digits, '-', '_' and '.', got '{key[:100]}'")


def check_labels(labels: Mapping[str, str], place: str) -> None:
    """Check labels of pods or nodes."""
    for key, value in labels.items():
        if not _is_key(key) or (value and not _KEY_NAME.fullmatch(value)):
            raise VqiError(
                f"{place}: expected labels of letters, digits, '-', '_' and '.', got '{key[:100]}={value[:100]}'"
            )


def check_annotations(annotations: Mapping[str, str], place: str) -> None:
    """Check annotations of pods, whose values are free."""
    for key in annotations:
        if not _is_key(key):
            raise VqiError(f"{place}: expected keys of letters, digits, '-', '_' and '.', got '{key[:100]}'")


def check_toleration(key: str, operator: str, value: str, effect: str, place: str) -> None:
    """Check a tolerated taint."""
    if operator not in _OPERATORS or effect not in _EFFECTS:
        raise VqiError(
            f"{place}: expected {' or '.join(_OPERATORS)} and {', '.join(_EFFECTS[1:])}, got '{operator}', '{effect}'"
        )
    if (key and not _is_key(key)) or (value and not _KEY_NAME.fullmatch(value)):
        raise VqiError(f"{place}: expected the key and value of a taint, got '{key[:100]}={value[:100]}'")
    if operator == "Exists" and value:
        raise VqiError(f"{place}: 'Exists' tolerates any value: leave out '{value[:100]}'")
    if operator == "Equal" and not key:
        raise VqiError(f"{place}: expected a key; without one only 'Exists' is accepted")


def check_mount_path(path: str, place: str) -> None:
    """Check where a volume is mounted."""
    if not path.startswith("/") or ":" in path or ".." in path.split("/") or path.strip("/") == "":
        raise VqiError(f"{place}: expected an absolute path without ':' and '..', got '{path[:100]}'")


def _is_key(text: str) -> bool:
    """Whether it is a key of labels and annotations: a name, or a domain and a name, ``example.com/name``."""
    domain, slash, name = text.rpartition("/")
    return bool(_KEY_NAME.fullmatch(name)) and (not slash or (len(domain) <= 253 and bool(_OBJECT.fullmatch(domain))))


def _no_parameter(text: str, place: str, what: str) -> None:
    if "{{$" in text:
        raise VqiError(
            f"{place}: {what} from a parameter is not supported: write its value in the pipeline, got '{text[:100]}'"
        )
