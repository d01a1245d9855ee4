"""When a photograph was taken."""

import io

import pytest
from PIL import ExifTags, Image

from vqi.photographs.capture import Capture, bursts, capture_of
from vqi.photographs.decoding import UnreadableImage

TAGS = ExifTags.Base


def photograph(kind: str = "JPEG", **tags: str) -> bytes:
    exif = Image.Exif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        (exif if name in ("Make", "Model", "DateTime") else inner)[getattr(TAGS, name)] = value
    exif[ExifTags.IFD.Exif] = inner
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def taken(**tags: str) -> Capture | None:
    return capture_of(photograph(**tags), "x", 1000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_camera_and_time(kind: str) -> None:
    tags = {"Make": "Ma", "Model": "M 1", "BodySerialNumber": "7", "DateTimeOriginal": "2024:05:01 00:00:10"}
    found = capture_of(photograph(kind, **tags, SubsecTimeOriginal="25"), "x", 1000)
    assert found is not None
    assert found.camera == "Ma M 1 7"
    later = capture_of(photograph(kind, **tags | {"DateTimeOriginal": "2024:05:02 00:00:10"}), "x", 1000)
    assert later is not None
    assert later.seconds - found.seconds == 86400 - 0.25


@pytest.mark.parametrize("time", ["", "0000:00:00 00:00:00", "yesterday", "2024:13:01 00:00:00"])
def test_no_time(time: str) -> None:
    assert taken(DateTimeOriginal=time) is None
    assert taken(DateTime="2024:05:01 00:00:10") is None, "when the file was changed, which editors write"


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow
def test_exif_that_is_damaged_has_no_time() -> None:
    data = photograph(DateTimeOriginal="2024:05:01 00:00:10", SubsecTimeOriginal="no")
    found = capture_of(data, "x", 1000)
    assert found is not None
    assert found.seconds % 1 == 0
    start = data.index(b"Exif") + 6
    for place in range(start, data.index(b"2024")):
        capture_of(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :], "x", 1000)
    assert capture_of(data[:start] + b"XX" + data[start + 2 :], "x", 1000) is None
    with pytest.raises(UnreadableImage):
        capture_of(b"text", "x", 1000)


def test_bursts_by_hand() -> None:
    times = [Capture("a", 30.0), Capture("a", 0.0), None, Capture("b", 1.0), Capture("a", 10.0), Capture("a", 20.0)]
    assert bursts(times, 10) == [0, 0, None, 1, 0, 0], "each within 10 s of the one before, though 30 s in all"
    assert bursts(times, 9.9) == [3, 0, None, 4, 1, 2]
    assert bursts([], 10) == []
