"""How arrays are written: as safetensors itself reads them, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import load, load_file

from vqi.artifacts.tensors import load_tensors, new_tensors, save_tensors
from vqi.system.scratch import scratch_folder

DTYPES = ["?", "u1", "i1", "<i2", "<u2", "<f2", "<i4", "<f4", "<i8", "<f8"]
ARRAYS = st.dictionaries(
    st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=8).filter(
        lambda name: name != "__metadata__"
    ),
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    ),
    max_size=5,
)


@given(ARRAYS)
def test_the_library_reads_what_is_written(tensors: dict[str, np.ndarray]) -> None:
    with scratch_folder() as folder:
        save_tensors(folder / "t", "a test/1", tensors, {"of": "a test", "é": [1]})
        first = (folder / "t").read_bytes()
        own, header = load_tensors(folder / "t", "a test/1", "again")
        read = load(first)
        save_tensors(folder / "t", "a test/1", dict(reversed(tensors.items())), {"é": [1], "of": "a test"})
        assert (folder / "t").read_bytes() == first, "the same arrays give the same bytes"
        assert header == {"of": "a test", "é": [1]}
        assert read.keys() == own.keys() == tensors.keys()
        for name, array in tensors.items():
            for got in (read[name], own[name]):
                assert (got.dtype, got.shape) == (array.dtype, array.shape)
                assert got.tobytes() == array.tobytes()


def test_it_is_there_when_all_went_well(tmp_path: Path) -> None:
    forms = {"a": (np.float32, (1000, 3)), "none": (np.int64, (0, 4))}
    with pytest.raises(KeyboardInterrupt), new_tensors(tmp_path / "t", "a test/1", forms, {}):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with new_tensors(tmp_path / "t", "a test/1", forms, {}) as arrays:
        arrays["a"][...] = 7
        assert not (tmp_path / "t").exists()
    assert float(load_file(tmp_path / "t")["a"].sum()) == 21_000


def test_a_disk_without_room_is_an_error_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the pages of a mapped file have no room, the system ends the process by a signal."""

    def full(file: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"), new_tensors(tmp_path / "t", "k", {"a": ("<f4", (9,))}, {}):
        pytest.fail("the block is not entered")
    assert not list(tmp_path.iterdir())
