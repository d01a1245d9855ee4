"""Memory of preparation: images and their masks wait until there is room, and are refused where there never is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from threading import Event, Thread

import pytest
from PIL import Image

from tests.vqi.photographs.written import encoded
from tests.vqi.preparation.test_images import good_files, run, write_shard
from vqi.photographs.cost import cost
from vqi.preparation.reading import Source

MASK = encoded(Image.new("1", (3000, 3000)))
MEBIBYTE = 1 << 20
FILES = {
    **good_files(2),
    **{f"test/cut/{number}.png": encoded(Image.new("L", (64, 64), 9)) for number in range(4)},
    **{f"ground_truth/cut/{number}_mask.png": MASK for number in range(4)},
}


def test_small_files_of_huge_masks_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(MASK) < 10_000
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: 64 * MEBIBYTE)
    report = run(tmp_path, FILES, max_pixels=10_000_000)
    assert report.images == 6
    problems = [problem.problem for problem in report.mask_problems]
    assert len(problems) == 4
    assert all(one.startswith("unreadable: decoding its 3000 x 3000 pixels takes 50 MiB, and") for one in problems)


@pytest.mark.parametrize(("fits", "waits"), [(1, True), (2, False)])
def test_an_image_waits_while_the_mask_of_another_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: int, waits: bool
) -> None:
    needed = cost(io.BytesIO(MASK), len(MASK)) + len(FILES["test/cut/0.png"])
    monkeypatch.setattr("vqi.system.processor.granted_memory", lambda: 2 * fits * needed)
    second = Event()

    def read(source: Source) -> None:
        with source.read("test/cut/1.png", "ground_truth/cut/1_mask.png"):
            second.set()

    with zipfile.ZipFile(write_shard(tmp_path / "shard.zip", FILES).path) as archive:
        source = Source(archive, 10_000_000)
        other = Thread(target=read, args=(source,))
        with source.read("test/cut/0.png", "ground_truth/cut/0_mask.png") as (image, mask):
            assert (image, mask) == (FILES["test/cut/0.png"], MASK)
            other.start()
            if not waits:
                assert second.wait(30)
            assert second.is_set() == (not waits)
        other.join(30)
        assert second.is_set()
