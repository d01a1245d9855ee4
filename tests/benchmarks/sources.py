"""Fetching, unpacking and packing: against curl, the minio client's plain loop, and the standard library's.

``BENCH_SCALE=0.05`` makes everything smaller. The full sizes need 25 GB of free disk.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from minio import Minio
from PIL import Image, PngImagePlugin

from tests.benchmarks.measure import Cost, command_cost, table
from tests.conftest import SeaweedFS

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
ARCHIVE_MB = int(1000 * SCALE)
OBJECTS, OBJECT_BYTES = int(5000 * SCALE), 900_000
IMAGES = [int(n * SCALE) for n in (625, 1250, 2500, 5000)]
PIXELS = 1024
ROUNDS = 5
AWAY = 10  # milliseconds to the server and back
UPLOADS = 4  # at the same time

FETCH = "import sys, pathlib, vqi.transfer.fetching as f; f.fetch(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3])"
BUCKET = "import sys; from vqi.datasets.sources import resolve; resolve(sys.argv[1])"
LOOP = """
import os, sys, pathlib
from urllib.parse import urlsplit
from minio import Minio
client = Minio(urlsplit(os.environ["VQI_S3_ENDPOINT"]).netloc, os.environ["AWS_ACCESS_KEY_ID"],
               os.environ["AWS_SECRET_ACCESS_KEY"], secure=False, region="us-east-1")
for one in client.list_objects("bench", prefix="parts/", recursive=True):
    client.fget_object("bench", one.object_name, os.path.join(sys.argv[1], one.object_name))
"""
EXTRACT_AND_ZIP = """
import os, sys, tarfile, zipfile
with tarfile.open(sys.argv[1]) as archive:
    archive.extractall(sys.argv[2], filter="data")
with zipfile.ZipFile(sys.argv[3], "w", strict_timestamps=False) as shard:
    for folder, _, names in os.walk(sys.argv[2]):
        for name in names:
            shard.write(os.path.join(folder, name), name)
"""


def archive() -> None:
    """A large file from a local server, with its digest checked, against curl without and with it."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        _started("-m", "tests.file_server", str(_served(Path(scratch)))) as url,
    ):
        folder, file = Path(scratch) / "to", Path(scratch) / "served" / "parts.tar"
        digest = _sha256(file)
        peers = {
            "curl": ["curl", "-sSf", "-o", "{}/file", f"{url}/parts.tar"],
            "curl, then sha256sum": ["sh", "-c", f"curl -sSf -o {{}}/file {url}/parts.tar && sha256sum {{}}/file"],
            "vqi": [sys.executable, "-c", FETCH, f"{url}/parts.tar", "{}", ""],
            "vqi, digest checked": [sys.executable, "-c", FETCH, f"{url}/parts.tar", "{}", digest],
        }
        costs = _rounds(peers, folder)
        cmp = next(folder.parent.glob("last/*-parts.tar"))
        assert _sha256(cmp) == digest
    base = costs["curl"].seconds
    rows = [
        [name, f"{cost.seconds:.2f} s", f"{base / cost.seconds:.2f}x", f"{cost.peak_mb:.0f} MB"]
        for name, cost in costs.items()
    ]
    table(f"Fetch of one file of {ARCHIVE_MB} MB from a local server, best of {ROUNDS}",
          ["", "time", "speed", "memory"], rows)  # fmt: skip


def objects() -> None:
    """Many small objects of a bucket against the client's plain loop."""
    peers = {
        "minio's client, one after the other": [sys.executable, "-c", LOOP, "{}"],
        "vqi, bucket:": [sys.executable, "-c", BUCKET, "bucket:s3://bench/parts"],
    }
    rows = []
    with tempfile.TemporaryDirectory() as scratch, bucket(Path(scratch), OBJECTS) as environment:
        for milliseconds in (0, AWAY):
            with _relay(environment, milliseconds) as reached:
                costs = _rounds(peers, Path(scratch) / "to", reached, rounds=1 if milliseconds else ROUNDS)
            base = costs["minio's client, one after the other"].seconds
            place = f"{milliseconds} ms away" if milliseconds else "on this machine"
            rows += [
                [f"{name}, {place}", f"{cost.seconds:.1f} s", f"{OBJECTS / cost.seconds:.0f}",
                 f"{base / cost.seconds:.1f}x", f"{cost.peak_mb:.0f} MB"]
                for name, cost in costs.items()
            ]  # fmt: skip
    table(f"{OBJECTS} objects of {OBJECT_BYTES // 1000} KB from SeaweedFS",
          ["", "time", "objects/s", "speed", "memory"], rows)  # fmt: skip


def pack() -> None:
    """A tar of large images into the shard of a dataset, each step as a process."""
    rows = []
    for count in IMAGES:
        with tempfile.TemporaryDirectory() as scratch:
            here = Path(scratch)
            write_images(here / "parts.tar", count)
            ours = command_cost(
                [sys.executable, "-m", "vqi_components.dataset_download", "--source", f"archive:{here / 'parts.tar'}",
                 "--catalog", str(here / "c"), "--dataset", str(here / "d"), "--categories", str(here / "n"),
                 "--recipe", str(here / "r"), "--changes", str(here / "h")],
                env={**os.environ, "VQI_STORE": str(here / "store"), "VQI_CACHE": str(here / "cache"),
                     "TMPDIR": str(here)},
            )  # fmt: skip
            shutil.rmtree(here / "store")
            plain = command_cost(
                [sys.executable, "-c", EXTRACT_AND_ZIP, str(here / "parts.tar"), str(here / "x"), str(here / "x.zip")]
            )
        rows.append([count, f"{ours.seconds:.1f} s", f"{count / ours.seconds:.0f}", f"{ours.peak_mb:.0f} MB",
                     f"{plain.seconds:.1f} s"])  # fmt: skip
    table(f"Unpack, check and pack {PIXELS} px PNG files from a tar (plain: extractall, then zipfile; no digests)",
          ["images", "vqi", "images/s", "memory", "plain"], rows)  # fmt: skip


def write_images(path: Path, count: int) -> None:
    """A tar of PNG files of about 900 KB that all differ, in the layout of one category."""
    random_ = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(PIXELS), np.arange(PIXELS)) // 16
    bases = [Image.fromarray((ramp + random_.integers(0, 90, ramp.shape)).astype(np.uint8)) for _ in range(8)]
    encoded = []
    for base in bases:
        buffer = io.BytesIO()
        note = PngImagePlugin.PngInfo()
        note.add_text("part", "00000000")
        base.save(buffer, "PNG", compress_level=1, pnginfo=note)
        encoded.append(buffer.getvalue())
    with tarfile.open(path, "w") as archive:
        for number in range(count):
            data = _numbered(encoded[number % len(encoded)], number)
            info = tarfile.TarInfo(f"nut/train/good/{number:05}.png")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _numbered(png: bytes, number: int) -> bytes:
    """The same picture as another file: a text chunk after its end, which readers skip."""
    return png + f"part {number:08}".encode()


def _rounds(
    peers: dict[str, list[str]], folder: Path, environment: dict[str, str] | None = None, rounds: int = ROUNDS
) -> dict[str, Cost]:
    """The best of some rounds in which the peers take turns; what the last one fetched stays in ``last``."""
    best: dict[str, Cost] = {}
    for _ in range(rounds):
        for name, command in peers.items():
            _empty(folder.parent / "last")
            folder.mkdir()
            filled = [part.replace("{}", str(folder)) for part in command]
            cost = command_cost(filled, env={**os.environ, **(environment or {}), "VQI_CACHE": str(folder)})
            folder.rename(folder.parent / "last")
            old = best.get(name, cost)
            best[name] = Cost(min(cost.seconds, old.seconds), max(cost.peak_mb, old.peak_mb))
    return best


def _empty(folder: Path) -> None:
    """Free the disk space of a run's files, and wait until that is done, so that it does not slow the next.

    The files stay, empty: for minutes ext4 does not reuse the inode number of a removed file, and checks all of them
    for each new one.
    """
    if folder.exists():
        for path in folder.rglob("*"):
            if path.is_file():
                os.truncate(path, 0)
        folder.rename(tempfile.mkdtemp(dir=folder.parent))
    os.sync()


def _served(scratch: Path) -> Path:
    folder = scratch / "served"
    folder.mkdir()
    with (folder / "parts.tar").open("wb") as output:
        chance = random.Random(0)
        for _ in range(ARCHIVE_MB):
            output.write(chance.randbytes(1_000_000))
    return folder


@contextmanager
def _started(*arguments: str) -> Iterator[str]:
    """A server in a process of its own; the address that it prints."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@contextmanager
def _relay(environment: dict[str, str], milliseconds: int) -> Iterator[dict[str, str]]:
    """The same server, at a distance."""
    if not milliseconds:
        yield environment
        return
    address = environment["VQI_S3_ENDPOINT"].partition("://")[2]
    with _started("-m", "tests.benchmarks.relay", address, str(milliseconds)) as url:
        yield {**environment, "VQI_S3_ENDPOINT": url}


@contextmanager
def bucket(scratch: Path, count: int) -> Iterator[dict[str, str]]:
    """A server with the objects, and a client for it."""
    server = SeaweedFS(scratch / "weed")
    try:
        client = Minio(server.endpoint.partition("://")[2], "AK", "SK", secure=False, region="us-east-1")
        client.make_bucket("bench")
        data = random.Random(0).randbytes(OBJECT_BYTES)

        def put(number: int) -> None:
            body = number.to_bytes(8, "big") + data[8:]
            client.put_object("bench", f"parts/nut/train/good/{number:05}.png", io.BytesIO(body), len(body))

        with ThreadPoolExecutor(UPLOADS) as pool:
            list(pool.map(put, range(count)))
        os.sync()
        yield server.environment
    finally:
        server.kill()


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
