"""What is kept: its words, its lines, and what is refused."""

from __future__ import annotations

import math

import pytest

from tests.vqi.verdicts.made import MORNING, scored, verdict
from vqi.errors import VqiError
from vqi.verdicts.records import TakenBack, entries_in, file_name, line_of, lines_of, said_of, verdict_of


@pytest.mark.parametrize(
    ("text", "word", "kind"),
    [
        ("good", "good", ""),
        ("Defect", "defect", ""),
        ("defect:scratch", "defect", "scratch"),
        ("defect: deep scratch", "defect", "deep scratch"),
        ("defect:Kratzer/2", None, "without slashes"),
        ("defect:.hidden", None, "without a dot"),
        ("defect:Good", None, "expected a type of defect, such as scratch, got 'Good'"),
        ("defect:" + "x" * 81, None, "at most 80 characters"),
        ("defect:a\nb", None, "expected printable characters"),
        ("good:scratch", None, "a type of defect, 'scratch', with the verdict 'good'"),
        ("goood", None, "unknown verdict 'goood': did you mean 'good'?"),
        ("", None, "unknown verdict '': known: defect, good, unclear"),
    ],
)
def test_words(text: str, word: str | None, kind: str) -> None:
    if word is None:
        with pytest.raises(VqiError) as error:
            said_of(text)
        assert kind in str(error.value)
        assert str(error.value).isprintable()
    else:
        assert (said_of(text).verdict, said_of(text).defect_type) == (word, kind)


@pytest.mark.parametrize(
    ("text", "score", "outcome"),
    [
        ("good", 1.5, "false alarm"),
        ("good", 1.0, "good part"),  # at the threshold there is no alarm
        ("defect:scratch", 1.5, "true defect"),
        ("defect", 0.5, "missed defect"),
        ("unclear", 1.5, "unclear"),
    ],
)
def test_what_a_verdict_says_of_the_model(text: str, score: float, outcome: str) -> None:
    assert verdict(text, of=scored(score=score)).outcome == outcome


def test_lines_come_back_as_they_were() -> None:
    one = verdict("defect:Kratzer Ä", by="Zoë\u2028x".replace("\u2028", " "))
    entries = [one, TakenBack(sha256=one.sha256, takes=one.identity, by="anna", at=MORNING)]
    data = lines_of(entries)
    assert data.count(b"\n") == 2
    assert entries_in(data, "here") == entries
    assert entries_in(data, "here", "0" * 64) == []
    assert one.identity != verdict("defect:Kratzer Ä", by="Zoë x", minutes=1).identity


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"vqi.verdict/1"', b'"vqi.verdict/9"', "vqi.verdict/9"),
        (b'"good"', b'"fine"', "verdict: Input should be 'good', 'defect' or 'unclear', got 'fine'"),
        (b'"score": 2.0', b'"score": NaN', "score"),
        (b'"score": 2.0', b'"score": -1', "score"),
        (b'"by": "anna"', b'"by": ""', "by: "),
        (b'"by": "anna"', b'"by": "anna", "more": 1', "more: "),
        (b"}", b"", "JSON"),
    ],
)
def test_a_damaged_line_is_named(old: bytes, new: bytes, said: str) -> None:
    good = line_of(verdict())
    assert old in good
    with pytest.raises(VqiError) as error:
        entries_in(good + good.replace(old, new), "a.jsonl")
    assert str(error.value).startswith("a.jsonl, line 2: ")
    assert said in str(error.value)
    assert str(error.value).endswith("remove that line, or the file")


@pytest.mark.parametrize("score", [math.nan, math.inf, -1.0])
def test_a_score_that_is_none(score: float) -> None:
    with pytest.raises(VqiError, match=r"p17\.png: score: .*got"):
        verdict_of(scored(score=score), said_of("good"), "anna", MORNING)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/p.png", "p.png"),
        ("C:\\line 4\\p.png", "p.png"),
        ("s3://b/p.png", "p.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("a\x1bb.png", "a\\x1bb.png"),
        ("", "photograph"),
        ("a/", "a"),
    ],
)
def test_the_name_of_a_file(path: str, name: str) -> None:
    assert file_name(path) == name
    verdict_of(scored(name=path), said_of("good"), "anna", MORNING)
