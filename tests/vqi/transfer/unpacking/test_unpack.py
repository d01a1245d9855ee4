"""transfer.unpacking: honest archives of every kind are unpacked; what is crafted is refused, nothing is written."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import random
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from tests.vqi.transfer.unpacking import crafted as c
from vqi.errors import VqiError
from vqi.transfer.unpacking import spool
from vqi.transfer.unpacking.unpack import Limits, Refused, Spool, unpack

SMALL = Limits(
    members=50, member_bytes=1 << 20, total_bytes=4 << 20, ratio=20, ratio_from=1 << 18, name_bytes=200, depth=8
)
FUZZ_CASES, FUZZ_SECONDS = 10_000, 60


def unpack_bytes(tmp_path: Path, data: bytes, wanted: Callable[[str], bool] = lambda name: True) -> Spool:
    archive = tmp_path / "archive"
    archive.write_bytes(data)
    folder = tmp_path / "scratch"
    folder.mkdir(exist_ok=True)
    return unpack(archive, folder, wanted, SMALL)


HONEST = {**{ending: (lambda ending=ending: c.honest_tar(ending)) for ending in c.COMPRESS}, "zip": c.honest_zip}


@pytest.mark.parametrize("kind", HONEST)
def test_honest_archives(tmp_path: Path, kind: str) -> None:
    found = unpack_bytes(tmp_path, HONEST[kind]())
    assert {name: found.read(name) for name in found.names} == c.PARTS
    assert not list((tmp_path / "scratch").iterdir()), "the spool has no name"
    found.close()


@pytest.mark.parametrize("kind", HONEST)
def test_only_what_is_wanted_is_kept(tmp_path: Path, kind: str) -> None:
    found = unpack_bytes(tmp_path, HONEST[kind](), lambda name: "/test/" in name)
    assert found.names == ["bottle/test/crack/001.png"]
    assert found.read(found.names[0]) == b"second"


GOOD: dict[str, tuple[bytes, list[str]]] = {
    "dots and doubled slashes": (c.names("./a//b/./c.png"), ["a/b/c.png"]),
    "long name in GNU format": (c.names("a/" + "n" * 150 + ".png", form=tarfile.GNU_FORMAT), [f"a/{'n' * 150}.png"]),
    "old tar": (c.names("a.png", form=tarfile.USTAR_FORMAT), ["a.png"]),
    "letters of any script": (c.names("ä/良品/a b #1%.png"), ["ä/良品/a b #1%.png"]),
    "a folder in its own right": (c.tar_of(c.special("a", tarfile.DIRTYPE), c.plain("a/b.png")), ["a/b.png"]),
    "folders named twice": (c.tar_of(c.special("a", tarfile.DIRTYPE), c.special("a", tarfile.DIRTYPE)), []),
    "nothing at all": (bytes(10240), []),
    "an archive within is not opened": (c.tar_of(c.plain("inner.zip", c.zip_names("../x"))), ["inner.zip"]),
    "two gzip members": (gzip.compress(c.honest_tar()[:512]) + gzip.compress(c.honest_tar()[512:]), list(c.PARTS)),
    "two xz streams": (lzma.compress(c.honest_tar()[:512]) + lzma.compress(c.honest_tar()[512:]), list(c.PARTS)),
    "two zstd frames": (b"".join(map(zstd.compress, (c.honest_tar()[:512], c.honest_tar()[512:]))), [*c.PARTS]),
    "zip with a comment": (c.patched(c.honest_zip()[:-2], b"PK\x05\x06", b"PK\x05\x06") + b"\x02\x00hi", list(c.PARTS)),
    "stored zip": (c.zip_of(c.PARTS.items(), zipfile.ZIP_STORED), list(c.PARTS)),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_unusual_but_honest(tmp_path: Path, name: str) -> None:
    data, expected = GOOD[name]
    assert unpack_bytes(tmp_path, data).names == expected


def linked(*links: tuple[str, str]) -> bytes:
    """A tar of one file and hard links: (name, what it names)."""
    return c.tar_of(c.plain("b/1.png", b"one"), *(c.special(name, tarfile.LNKTYPE, other) for name, other in links))


def test_hard_links_have_the_bytes_of_what_they_name(tmp_path: Path) -> None:
    data = linked(("w/2.png", "b/1.png"), ("w/3.png", "./w/2.png"), ("w/4.png", "w/4.png"), ("w/5.png", "gone.png"))
    found = unpack_bytes(tmp_path, data)
    assert {name: found.read(name) for name in found.names} == dict.fromkeys(("b/1.png", "w/2.png", "w/3.png"), b"one")
    assert set(found.odd) == {"w/4.png", "w/5.png"}
    assert "a hard link to 'gone.png', which is not in the archive" in found.odd["w/5.png"]


def test_hard_links_to_what_is_not_wanted_itself(tmp_path: Path) -> None:
    data = c.COMPRESS["tar.gz"](linked(("w/2.png", "b/1.png"), ("w/3.png", "b/1.png"), ("v/4.png", "b/1.png")))
    found = unpack_bytes(tmp_path, data, lambda name: name.startswith("w/"))
    assert {name: found.read(name) for name in found.names} == dict.fromkeys(("w/2.png", "w/3.png"), b"one")
    assert not found.odd


ODD = {
    "link": c.tar_of(c.special("a.png", tarfile.SYMTYPE, "/etc/passwd"), c.plain("b.png")),
    "dangling": c.tar_of(c.special("a.png", tarfile.SYMTYPE, "user@host.1"), c.plain("b.png")),
    "hard link to a link": c.tar_of(
        c.special("x", tarfile.SYMTYPE, ".."), c.special("a.png", tarfile.LNKTYPE, "x"), c.plain("b.png")
    ),
    "pipe": c.tar_of(c.special("a.png", tarfile.FIFOTYPE), c.plain("b.png")),
    "zip link": c.zip_of([(c.zip_info("a.png", stat.S_IFLNK | 0o777), b"/etc/passwd"), ("b.png", b"x")]),
    "zip socket": c.zip_of([(c.zip_info("a.png", stat.S_IFSOCK | 0o777), b""), ("b.png", b"x")]),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file_is_left_out_and_never_followed(tmp_path: Path, name: str) -> None:
    found = unpack_bytes(tmp_path, ODD[name])
    assert found.names == ["b.png"]
    assert "a.png" in found.odd
    with pytest.raises(VqiError, match=r"'a\.png' is a"):
        found.read("a.png")


def test_a_zip_with_backslashes_throughout(tmp_path: Path) -> None:
    found = unpack_bytes(
        tmp_path, c.zip_of([("w\\train\\good\\", b""), ("w\\train\\good\\1.png", b"1"), ("a.txt", b"")])
    )
    assert {name: found.read(name) for name in found.names} == {"w/train/good/1.png": b"1", "a.txt": b""}


@pytest.mark.parametrize("lost", range(3))
def test_a_zip_whose_directory_lacks_a_member(tmp_path: Path, lost: int) -> None:
    with pytest.raises(Refused, match="its directory lacks a member"):
        unpack_bytes(tmp_path, c.zip_without(lost, "a.png", "b.png", "c.png"))


def test_a_zip_with_data_descriptors_is_complete(tmp_path: Path) -> None:
    assert unpack_bytes(tmp_path, c.streamed_zip("a.png", "b.png")).names == ["a.png", "b.png"]


def cut(data: bytes, keep: float) -> bytes:
    return data[: int(len(data) * keep)]


BOMB = b"\0" * (1 << 20)
CUT = "cut short or damaged"
HOSTILE: dict[str, tuple[bytes, str]] = {
    # names
    "absolute": (c.names("/etc/passwd"), "absolute path"),
    "absolute with two slashes": (c.names("//etc/passwd"), "absolute path"),
    "parent": (c.names("../x.png"), "leaves the folder"),
    "parent in the middle": (c.names("a/../../x.png"), "leaves the folder"),
    "parent at the end": (c.names("a/.."), "leaves the folder"),
    "parent in a GNU long name": (c.names("a/" * 5 + "../" * 40 + "x", form=tarfile.GNU_FORMAT), "leaves the folder"),
    "parent in a pax path": (c.pax_with(c.record("path", b"../../x.png")), "leaves the folder"),
    "drive letter": (c.names("C:/x.png"), "absolute path"),
    "drive letter without a slash": (c.names("c:x.png"), "absolute path"),
    "backslashes": (c.names("..\\..\\x.png"), "backslash"),
    "network share": (c.names("\\\\host\\share"), "backslash"),
    "line break": (c.names("a\nb.png"), "control character"),
    "escape sequence": (c.names("a\x1b[2J.png"), "control character"),
    "NUL in a pax path": (c.pax_with(c.record("path", b"a.png\0.exe")), "control character"),
    "right to left": (c.names("a\u202egnp.exe"), "invisible character"),
    "zero width": (c.names("a\u200b.png"), "invisible character"),
    "line separator": (c.names("a\u2028.png"), "line end"),
    "not UTF-8": (c.names("a\udcff.png", form=tarfile.GNU_FORMAT), "not UTF-8"),
    "too long": (c.names("n" * 300), "longer than"),
    "too deep": (c.names("a/" * 20 + "x.png"), "longer than"),
    "no name at all": (c.tar_of(c.plain("./.")), "has no name"),
    "twice": (c.names("a/b.png", "a/b.png"), "twice"),
    "twice, written otherwise": (c.names("a/b.png", "./a//b.png"), "twice"),
    "case collision": (c.names("a/B.png", "a/b.png"), "the same name"),
    "case collision of a folder": (c.names("A/b.png", "a/b.png"), "the same name"),
    "sharp s": (c.names("stra\u00dfe.png", "STRASSE.png"), "the same name"),
    "two Unicode forms": (c.names("\u00e9.png", "e\u0301.png"), "the same name"),
    "wide letters": (c.names("\uff41.png", "a.png"), "the same name"),
    # kinds
    "link to a folder, then through it": (
        c.tar_of(c.special("a", tarfile.SYMTYPE, "/tmp"), c.plain("a/x.png")), "below a link"),
    "hard link to what is outside": (c.tar_of(c.special("a.png", tarfile.LNKTYPE, "../../etc/passwd")), "leaves the"),
    "hard link to an absolute path": (c.tar_of(c.special("a.png", tarfile.LNKTYPE, "/etc/passwd")), "absolute path"),
    "hard link with bytes": (
        c.tar_field(c.tar_of(c.special("a.png", tarfile.LNKTYPE, "b.png")), 124, b"00000000100\0"), "device, a sparse"),
    "hard links that multiply": (
        c.tar_of(c.plain("a.png", bytes(1 << 17)),
                 *(c.special(f"{i}.png", tarfile.LNKTYPE, "a.png") for i in range(40))),
        "decompression bomb"),
    "character device": (c.tar_of(c.special("null", tarfile.CHRTYPE)), "device"),
    "block device": (c.tar_of(c.special("sda", tarfile.BLKTYPE)), "device"),
    "sparse file": (c.tar_of(c.special("a.png", tarfile.GNUTYPE_SPARSE)), "device, a sparse file"),
    "pax sparse file": (c.pax_with(c.record("GNU.sparse.map", b"0,1") + c.record("GNU.sparse.size", b"9" * 15)), ""),
    "unknown kind": (c.tar_field(c.names("a.png"), 156, b"Z"), ""),
    # bombs
    "ratio of a gz": (gzip.compress(c.tar_of(c.plain("a", BOMB), c.plain("b", BOMB))), "bomb"),
    "ratio of an xz": (lzma.compress(c.tar_of(c.plain("a", BOMB), c.plain("b", BOMB))), "bomb"),
    "ratio of a zst": (zstd.compress(c.tar_of(c.plain("a", BOMB), c.plain("b", BOMB))), "bomb"),
    # a frame whose window, 2 ** 29 bytes, a reader would have to hold
    "a window of a zst": (b"\x28\xb5\x2f\xfd\0" + bytes([(29 - 10) << 3]) + b"\1\0\0", "too much memory"),
    "ratio of a zip": (c.zip_of([("a", BOMB), ("b", BOMB)]), "bomb"),
    "zeros after the end": (gzip.compress(c.names("a.png") + BOMB), "bomb"),
    "gzip in gzip": (gzip.compress(gzip.compress(bytes(1 << 16))), "end mark|damaged"),
    "one large member": (c.tar_of(c.plain("a", os.urandom((1 << 20) + 1))), "at most"),
    "total size": (c.tar_of(*(c.plain(f"{i}", bytes(1 << 20)) for i in range(5))), "bomb"),
    "count": (c.names(*(f"{i}.png" for i in range(51))), "more than 50 members"),
    "count of folders": (c.tar_of(*(c.special(f"d{i}", tarfile.DIRTYPE) for i in range(51))), "more than 50 members"),
    "count in a zip": (c.zip_names(*(f"{i}.png" for i in range(51))), "more than 50 members"),
    "a pax header of gigabytes": (c.pax_with(b"", claimed=6 << 30), "at most"),
    "a long name of gigabytes": (c.tar_field(c.long_chain(1), 124, b"77777777777\0"), "at most"),
    "a chain of long names": (c.long_chain(3000), ""),
    "overlapping members of a zip": (c.overlapping_zip(), "overlaps"),
    "a folder with bytes": (c.tar_of(c.plain("a", b"x" * 600, type=tarfile.DIRTYPE)), ""),
    # damage
    "negative size": (c.negative_size(), ""),
    "cut in a header": (c.honest_tar()[:300], ""),
    "cut in a member": (c.honest_tar()[:2100], CUT),
    "cut between members": (c.tar_of(c.plain("a", b"x" * 512))[:1024], "no end mark"),
    "cut after zeros of a member": (c.tar_of(c.plain("a", bytes(512)))[:1024], "no end mark"),
    "header damaged in the middle": (c.patched(c.honest_tar(), b"bottle/test", b"bottle/tesT"), "no end mark"),
    "two tars joined": (c.honest_tar() + c.honest_tar(), "after its end mark"),
    "gz cut": (cut(c.honest_tar("tar.gz"), 0.9), CUT),
    "gz with a wrong checksum": (c.honest_tar("tar.gz")[:-8] + b"\0" * 8, CUT),
    "bz2 cut": (cut(c.honest_tar("tar.bz2"), 0.9), CUT),
    "xz cut": (cut(c.honest_tar("tar.xz"), 0.9), CUT),
    "zst cut": (cut(c.honest_tar("tar.zst"), 0.7), ""),
    "xz that wants all memory": (lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]), CUT),
    "zip cut": (cut(c.honest_zip(), 0.9), CUT),
    "zip without its beginning": (c.honest_zip()[20:], ""),
    "zip with a wrong checksum": (c.zip_field(c.honest_zip(), 16, "<I", 1), CUT),
    "a web page": (b"<!doctype html><title>Log in</title>", "starts with b'<!doctype html>"),
    "empty": (b"", "starts with"),
    # zips
    "zip parent": (c.zip_names("../x.png"), "leaves the folder"),
    "zip absolute": (c.zip_names("/x.png"), "absolute path"),
    "zip backslashes": (c.zip_names("a\\..\\..\\x.png"), "leaves the folder"),
    "zip drive": (c.zip_names("C:\\x.png"), "absolute path"),
    "zip network share": (c.zip_names("\\\\host\\x.png"), "absolute path"),
    "zip with both": (c.zip_names("a\\b.png", "a/c.png"), "backslash"),
    "zip link, then through it": (
        c.zip_of([(c.zip_info("a", stat.S_IFLNK | 0o777), b"/tmp"), ("a/x.png", b"x")]), "below a link"),
    "zip twice": (c.patched(c.zip_names("aa.png", "ab.png"), b"ab.png", b"aa.png"), "twice"),
    "zip case collision": (c.zip_names("a.png", "A.png"), "the same name"),
    "zip device": (c.zip_kind("a", stat.S_IFCHR | 0o666), "device"),
    "zip encrypted": (c.zip_field(c.honest_zip(), 8, "<H", 1), "encrypted"),
    "zip packed with lzma": (c.zip_of([("a.png", b"x")], zipfile.ZIP_LZMA), "method 14"),
    "zip NUL in a name": (c.patched(c.zip_names("a.png#.exe"), b"#", b"\0"), "control character"),
    "zip whose two names differ": (c.patched(c.zip_names("safe.png"), b"safe.png", b"evil.png", 1), CUT),
    "zip that claims less": (c.zip_field(c.honest_zip(), 24, "<I", 3), ""),
    "zip that claims more": (c.zip_field(c.honest_zip(), 24, "<I", 600), ""),
    "zip whose member points outside": (c.zip_field(c.honest_zip(), 42, "<I", 1 << 30), ""),
    "zip folder with bytes": (c.zip_of([("a/", b"x")]), "folder with 1 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(tmp_path: Path, name: str) -> None:
    data, reason = HOSTILE[name]
    (tmp_path / "beside").mkdir()
    with pytest.raises(Refused, match=reason or "is refused") as raised:
        unpack_bytes(tmp_path, data)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("archive archive is refused: ")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "beside", "scratch"]


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


def test_members_that_nobody_wants_are_checked_as_well(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="leaves the folder"):
        unpack_bytes(tmp_path, c.names("a.png", "../x.txt"), lambda name: name == "a.png")


def test_nothing_is_written_of_a_member_before_it_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[str] = []
    monkeypatch.setattr(Spool, "add", lambda self, name, size, pieces: added.append(name))
    with pytest.raises(Refused):
        unpack_bytes(tmp_path, c.names("../x.png", "a.png"))
    assert added == []


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SPARE_BYTES", 1 << 60)
    with pytest.raises(VqiError, match=r"no room in .*VQI_CACHE"):
        unpack_bytes(tmp_path, c.honest_tar())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match=r"cannot unpack gone\.tar: .*No such file"):
        unpack(tmp_path / "gone.tar", tmp_path, lambda name: True)


def mutate(chance: random.Random, data: bytes) -> bytes:
    """One of: bytes changed, a piece cut out, repeated, overwritten with extremes, the end cut off."""
    mutated = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(len(mutated)) if mutated else 0
        kind = chance.randrange(6)
        if kind == 0 and mutated:
            mutated[at] = chance.randrange(256)
        elif kind == 1:
            del mutated[at : at + chance.randrange(1, 64)]
        elif kind == 2:
            mutated[at:at] = mutated[at : at + chance.randrange(1, 600)]
        elif kind == 3:
            size = chance.choice([1, 2, 4, 8, 12])
            mutated[at : at + size] = chance.choice([b"\0", b"\xff", b"\x7f", b"\x80", b"7"]) * size
        elif kind == 4:
            del mutated[at:]
        else:
            mutated[at : at + 3] = chance.choice([b"../", b"/..", b"PK\x03", b"\xfd7z", b"\0\0\0"])
    return bytes(mutated)


def fix_checksums(data: bytes) -> bytes:
    """A tar whose headers' checksums fit, so that what is in them is read at all."""
    fixed = bytearray(data)
    for at in range(0, len(fixed) - 511, 512):
        if fixed[at + 257 : at + 262] == b"ustar":
            fixed[at + 148 : at + 156] = b" " * 8
            fixed[at + 148 : at + 156] = b"%06o\0 " % sum(fixed[at : at + 512])
    return bytes(fixed)


@pytest.mark.slow
def test_fuzz(tmp_path: Path) -> None:
    """Mutated archives end in members within the limits or in one line; nothing else appears on the disk."""
    chance = random.Random(0)
    long = c.names("a/" + "n" * 120 + ".png", "b.png", form=tarfile.GNU_FORMAT)
    seeds = [HONEST[kind]() for kind in HONEST] + [long, c.names("é/良.png"), c.pax_with(c.record("path", b"p.png"))]
    begin, refused = time.process_time(), 0
    for case in range(FUZZ_CASES):
        kind = chance.randrange(len(seeds) + 3)
        if kind < len(seeds):
            data = mutate(chance, seeds[kind])
        else:
            data = c.COMPRESS[chance.choice(list(c.COMPRESS))](fix_checksums(mutate(chance, chance.choice(seeds[-3:]))))
        try:
            found = unpack_bytes(tmp_path, data)
        except Refused as error:
            refused += 1
            said = str(error)
        else:
            said = ""
            for name in found.names:
                assert len(found.read(name)) <= SMALL.member_bytes
                assert not {"", ".", ".."} & set(name.split("/")), case
            found.close()
        assert "\n" not in said, case
    seconds = time.process_time() - begin
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["archive", "scratch"]
    assert FUZZ_CASES // 2 < refused < FUZZ_CASES, "the mutations reach neither nothing nor everything"
    assert seconds < FUZZ_SECONDS


def test_against_tarfile_and_zipfile_on_honest_trees(tmp_path: Path) -> None:
    """The reference: what the standard library reads of a tree with files of many sizes."""
    chance = random.Random(1)
    tree = {f"c{i % 3}/train/good/{i}.png": chance.randbytes(size) for i, size in enumerate(
        [0, 1, 511, 512, 513, 1024, 100_000, 1 << 20, (1 << 20) - 1])}  # fmt: skip
    data = c.tar_of(*(c.plain(name, content) for name, content in tree.items()))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        reference = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    found = unpack_bytes(tmp_path, data)
    assert {name: found.read(name) for name in found.names} == reference == tree
