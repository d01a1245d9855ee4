"""Files of torch.save in its first format, read without torch."""

import os
import pickle  # noqa: TID251  to write such files
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vqi.network.torch_files import read_torch_file

FACTS = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})


def saved(path: Path, content: object) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def pickles(path: Path, *contents: Any) -> Path:
    path.write_bytes(b"".join(pickle.dumps(content, protocol=2) for content in contents))
    return path


def test_every_kind_of_view(tmp_path: Path) -> None:
    numbers = torch.arange(24, dtype=torch.float32)
    state = OrderedDict(
        whole=numbers, part=numbers[3:9], turned=numbers.view(4, 6).t(), one=torch.tensor(7), none=torch.zeros(0, 3)
    )
    found = read_torch_file(saved(tmp_path / "w.pth", state))
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert np.array_equal(found[name], tensor.numpy()), name
        assert found[name].dtype == tensor.numpy().dtype


class Command:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made",)


def test_nothing_in_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=r"expected tensors alone, got posix\.mkdir"):
        read_torch_file(pickles(tmp_path / "w.pth", *FACTS, Command()))
    assert not (tmp_path / "made").exists()


def test_another_format(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "new.pth")
    for path in (tmp_path / "new.pth", pickles(tmp_path / "other.pth", FACTS[0], 1002)):
        with pytest.raises((ValueError, pickle.UnpicklingError)):
            read_torch_file(path)


def test_cut_short(tmp_path: Path) -> None:
    whole = saved(tmp_path / "w.pth", {"w": torch.arange(8.0)}).read_bytes()
    for length in (10, 60, len(whole) - 1):
        (tmp_path / "w.pth").write_bytes(whole[:length])
        with pytest.raises((ValueError, EOFError, pickle.UnpicklingError)):
            read_torch_file(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"), [(0, (9,), (1,)), (5, (4,), (1,)), (-1, (2,), (1,)), (0, (3, 2), (4, 1))]
)
def test_a_tensor_outside_of_its_storage(
    tmp_path: Path, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    storage = torch.arange(8.0).untyped_storage()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "storage_offset", lambda _: offset)
        patch.setattr(torch.Tensor, "stride", lambda _: strides)
        patch.setattr(torch.Tensor, "size", lambda _: torch.Size(shape))
        saved(tmp_path / "w.pth", {"w": torch.tensor([], dtype=torch.float32).set_(storage, 0, (8,), (1,))})
    with pytest.raises(pickle.UnpicklingError, match="outside of its storage"):
        read_torch_file(tmp_path / "w.pth")
