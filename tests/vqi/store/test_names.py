"""vqi.store.names: the parts of keys that names become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqi.errors import VqiError
from vqi.store.interface import check_key
from vqi.store.names import key_of, name_of

# Every character there is, halves of surrogate pairs included, with those that mean something to a store often.
NAMES = st.text(st.one_of(st.sampled_from(" .%/\\@%.2Ff\0\x7f\t\nAa\u00a0\ufffe\udc80é"), st.characters()), min_size=1)


@given(NAMES)
def test_a_name_is_read_back_from_its_key(name: str) -> None:
    assert name_of(key_of(name)) == name


@given(NAMES, NAMES)
def test_two_names_never_share_a_key(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)


@given(NAMES)
def test_a_key_is_one_part_that_every_store_takes_as_it_is(name: str) -> None:
    key = key_of(name)
    assert check_key(key) == key
    assert "/" not in key
    assert "\\" not in key
    assert key == key.strip().strip(".")
    assert key.encode().decode() == key


@pytest.mark.parametrize(
    "name",
    [
        "elpv",
        "mono",
        "mvtec_anomaly_detection",
        "MVTec-AD",
        "my parts",
        "v1.2",
        "parts@may",
        "Prüfling",
        "良品",
        "a+b,c",
    ],
)
def test_an_ordinary_name_is_its_own_key(name: str) -> None:
    """Stores that exist keep their keys."""
    assert key_of(name) == name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("100%", "100%25"),
        ("a\\b", "a%5Cb"),
        ("a/b", "a%2Fb"),
        ("a ", "a%20"),
        ("\n", "%0A"),
    ],
)
def test_what_a_store_takes_for_something_else_is_written_out(name: str, key: str) -> None:
    assert key_of(name) == key


def test_an_empty_name_has_no_key() -> None:
    with pytest.raises(VqiError, match="a name is empty"):
        key_of("")
