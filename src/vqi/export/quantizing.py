"""A network -> the same with most of its operations in int8, by NNCF's post-training quantisation.

Needs the extra ``int8``. NNCF reports usage as OpenVINO's converter does, by the module that ``imported`` makes miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vqi.errors import VqiError
from vqi.export.quiet import quiet
from vqi.formatting import count
from vqi.models.inputs import find_images
from vqi.models.reading import Failure, Reader, Source, name_of
from vqi.progress import message
from vqi.records import cut
from vqi.system.openvino import imported

Pixels = npt.NDArray[np.uint8]

FEWEST = 20  # good photographs
_MOST, _HELD_BACK = 400, 4  # photographs that are read; every fourth of them is not quantised on
# The first convolutions stay as they are. In int8 the first two make nine tenths of the noise in the features: few
# channels, each of another range, which all later layers see. The third costs little.
_FIRST = 3
_CONVOLUTIONS = ("Convolution", "GroupConvolution")


class Good(NamedTuple):
    """Photographs of good parts, all of them readable."""

    pixels: list[Pixels]  # (H, W, 3) each, as the network sees them: to quantise on
    held_back: list[Source]  # to compare on


def nncf() -> Any:
    """The module ``nncf``, imported in a way that it tells nobody of."""
    imported()
    import nncf as module

    return module


def good_photographs(names: Iterable[str], reader: Reader) -> Good:
    """Photographs of good parts, at most 400 of them, evenly spaced; one that cannot be read is said, and left out.

    Args:
        names: Files, folders, patterns and addresses.
        reader: That of the model.

    Raises:
        VqiError: There are fewer than ``FEWEST``.
    """
    places = list(names)
    found = list(find_images(places, patterns=True))
    read: list[tuple[Source, Pixels]] = []
    for one in _spaced(found, _MOST):
        try:
            if isinstance(one, Failure):
                raise one.error
            read.append((one, reader.read(one, name_of(one)).pixels))
        except VqiError as error:
            message(f"warning: not quantised on: {error}")
    if len(read) < FEWEST:
        raise VqiError(
            f"{', '.join(places)}: expected at least {FEWEST} photographs of good parts to quantise on, "
            f"got {len(read)} that can be read"
        )
    held_back = [source for source, _ in read[_HELD_BACK - 1 :: _HELD_BACK]]
    return Good([pixels for place, (_, pixels) in enumerate(read, start=1) if place % _HELD_BACK], held_back)


def quantized(network: Any, photographs: Sequence[Pixels]) -> Any:
    """The network with int8 weights and, but for its beginning, int8 operations.

    Args:
        network: An ``openvino.Model`` from (1, H, W, 3) uint8.
        photographs: (H, W, 3) each, of good parts: by what they give, the range of each operation is set.

    Raises:
        VqiError: NNCF does not take the network, or leaves it as it is.
    """
    quantizer = nncf()
    first = [one.get_friendly_name() for one in network.get_ordered_ops() if one.get_type_name() in _CONVOLUTIONS]
    message(f"quantising on {count(len(photographs), 'photograph')}")
    try:
        with quiet("nncf"):
            made = quantizer.quantize(
                network,
                quantizer.Dataset([one[None] for one in photographs]),  # 1 x H x W x 3
                subset_size=len(photographs),
                ignored_scope=quantizer.IgnoredScope(names=first[:_FIRST]),
            )
    except Exception as error:  # it raises what it likes, and it is the backbone's doing
        raise VqiError(
            f"the network cannot be quantised ({cut(' '.join(str(error).split()))}): export it as fp32 or bf16"
        ) from error
    if not any(one.get_type_name() == "FakeQuantize" for one in made.get_ops()):
        raise VqiError("nothing of the network can be quantised: export it as fp32 or bf16")
    return made


def _spaced(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of them, evenly spaced."""
    chosen = min(most, len(items))
    return [items[place * len(items) // chosen] for place in range(chosen)]
