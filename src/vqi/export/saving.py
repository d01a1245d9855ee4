"""An OpenVINO model -> the two files of it, with what must be float32 marked and what the file says of itself.

What a file computes must not depend on how it is loaded. On a processor that has bf16, OpenVINO computes everything in
it unless it is told otherwise, in each program anew; so each operation that must be float32 is marked as such in the
file. In an fp32 file these are all of them, in a bf16 file those after the network: a distance is a difference of
numbers that are nearly equal, of which bf16 leaves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

from vqi.digests import sha256_file
from vqi.models.exported_record import SECTION, WEIGHTS
from vqi.system.openvino import imported

NETWORK = "network/"  # begins the names of the network's operations

_Tree: TypeAlias = "ET.ElementTree[ET.Element]"


def save(model: Any, path: Path, precision: str, metadata: Mapping[str, Mapping[str, str]]) -> None:
    """Write ``path`` (.xml) and the weights next to it (.bin).

    Args:
        model: As ``whole_model`` gives it.
        path: Of the new file.
        precision: Of the network: ``fp32``, or ``bf16`` where a processor has it.
        metadata: Sections of texts, by name, which programs read as the model's ``rt_info``.
    """
    openvino = imported()
    for section, values in metadata.items():
        for name, value in values.items():
            model.set_rt_info(value, [section, name])
    openvino.save_model(model, path, compress_to_fp16=False)
    tree = ET.parse(path)  # noqa: S314 - it was written a moment ago
    _mark(tree, NETWORK if precision == "bf16" else "")
    _say(tree, "weights", sha256_file(path.with_suffix(WEIGHTS)))
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _mark(tree: _Tree, without: str) -> None:
    """Mark operations to be computed in the precision that they have in the file; those of a name may be left out."""
    for layer in tree.iterfind("layers/layer"):
        if not (without and layer.attrib["name"].startswith(without)):
            _info_of(layer).append(ET.Element("attribute", {"name": "precise", "version": "0"}))


def _say(tree: _Tree, name: str, value: str) -> None:
    """Add to what the file says of itself."""
    section = tree.find(f"rt_info/{SECTION}")
    if section is None:
        raise ValueError(f"no '{SECTION}' in the rt_info of a file that was given one")
    section.append(ET.Element(name, {"value": value}))


def _info_of(layer: ET.Element) -> ET.Element:
    """What is said of an operation beside what it computes, after its ``data`` where it has any."""
    found = layer.find("rt_info")
    if found is None:
        found = ET.Element("rt_info")
        layer.insert(int(layer.find("data") is not None), found)
    return found
