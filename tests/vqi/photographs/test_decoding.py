"""What decoding does not change: Pillow's limit and parsers belong to the process that imports the library."""

import io
import subprocess
import sys
import warnings

import pytest
from PIL import Image

from vqi.photographs.decoding import UnreadableImage, decode, image_size, only_max_pixels
from vqi.photographs.opening import FORMATS
from vqi.sizes import square

IMPORT_ALL = """
import importlib, logging, os, sys, warnings
import minio, numpy, obstore, pydantic, requests, scipy.ndimage, sklearn.metrics  # what these do is theirs
from PIL import Image

def state():
    loggers = {name: (one.level, len(one.handlers)) for name, one in logging.root.manager.loggerDict.items()
               if isinstance(one, logging.Logger) and name.startswith("vqi")}
    return {"limit": Image.MAX_IMAGE_PIXELS, "parsers": Image._initialized, "filters": list(warnings.filters),
            "level": logging.root.level, "handlers": list(logging.root.handlers), **loggers, **os.environ}

before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
    after = state()
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    assert not changed, (name, changed)
"""

AT_ONCE = """
import threading
from concurrent.futures import ThreadPoolExecutor
from vqi.photographs.decoding import decode
from vqi.sizes import square

data = {0!r}
start = threading.Barrier(len(data))

def work(one):
    start.wait()
    return decode(one, "x", square(32), 10_000).shape

with ThreadPoolExecutor(len(data)) as pool:
    assert set(pool.map(work, data)) == {{(32, 32, 3)}}
"""


def encoded(format_: str, side: int = 64) -> bytes:
    buffer = io.BytesIO()
    Image.new("L" if format_ != "WEBP" else "RGB", (side, side), 100).save(buffer, format_)
    return buffer.getvalue()


def test_importing_changes_nothing_in_the_process() -> None:
    names = ["vqi.photographs.decoding", "vqi_components.step"]  # those first that the others import
    names += ["vqi_components.preprocess.__main__", "vqi_components.feature_extract.__main__"]
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("format_", FORMATS)
def test_max_pixels_of_the_call_decides_and_not_the_limit_of_the_process(
    monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = encoded(format_)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    with only_max_pixels():
        assert decode(data, "x", square(32), 64 * 64).shape == (32, 32, 3)
        with pytest.raises(UnreadableImage, match=r"64 x 64 = 4096 pixels, max_pixels is 4095"):
            decode(data, "x", square(32), 64 * 64 - 1)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("format_", FORMATS)
def test_a_process_with_a_limit_of_its_own_keeps_it(monkeypatch: pytest.MonkeyPatch, format_: str) -> None:
    """Where a parser of Pillow observes the limit, the reason names it; none checks it before the header is read."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = encoded(format_)
    if format_ in ("TIFF", "WEBP"):
        with pytest.raises(UnreadableImage, match=r"too large for Pillow.*PIL\.Image\.MAX_IMAGE_PIXELS"):
            decode(data, "x", square(32), 64 * 64)
    else:
        assert decode(data, "x", square(32), 64 * 64).shape == (32, 32, 3)
    assert image_size(data) == "64x64"


def test_ordinary_images_give_no_warning_at_the_limit_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        decode(encoded("JPEG"), "x", square(32), 64 * 64)
    assert seen == []


def test_many_threads_decode_from_the_first_moment() -> None:
    """In a fresh process: no parser is loaded late."""
    data = [encoded(format_) for format_ in FORMATS] * 2
    done = subprocess.run([sys.executable, "-c", AT_ONCE.format(data)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
