"""The page: what it is sent with, and in a real browser: photographs go up, verdicts come back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.browser import Browser
from tests.vqi.serving.made import base64_of, keeping, photograph, serving
from tests.vqi.serving.test_server import Running, running
from vqi.errors import VqiError
from vqi.serving.keeping import Recents
from vqi.verdicts.book import Book
from vqi.verdicts.records import Verdict
from vqi.verdicts.standing import standing

FILES = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript", "/icon.svg": "image/svg+xml"}
TOKEN = "0123456789abcdef"


def test_its_files_come_with_a_policy_that_allows_nothing_from_elsewhere() -> None:
    with serving() as service:
        for path, kind in FILES.items():
            answer = service.client.get(path)
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            text = answer.text.replace("http://www.w3.org/2000/svg", "").replace("http://this-address/score", "")
            assert not re.search(r"https?://|//[a-z]+\.", text), path


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.inputs: list[str] = []
        self.bad: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.bad += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "label":
            self.labels.append(str(given["for"]))
        if tag in ("input", "select"):
            self.inputs.append(str(given["id"]))


def test_every_control_has_a_label_and_no_markup_needs_an_exception_of_the_policy() -> None:
    with serving() as service:
        page, script = service.client.get("/").text, service.client.get("/page.js").text
    found = Elements(page)
    assert found.bad == []
    assert len(found.ids) == len(set(found.ids))
    inputs = ["camera", "files", "kind", "model", "single", "token", "who"]
    assert sorted(found.labels) == sorted(found.inputs) == inputs
    assert set(re.findall(r'\bat\("([a-z]+)"\)', script)) <= set(found.ids)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)


# ----------------------------------------------------------------------------------------------------- in a browser

DROP = """
(() => {
  const data = new DataTransfer();
  const [count, bytes] = [%d, Uint8Array.from(atob("%s"), (c) => c.charCodeAt(0))];
  for (let i = 0; i < count; i += 1) data.items.add(new File([bytes], `p${i}.png`));
  const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(drop);
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one
        assert one.troubles == []


@pytest.fixture
def served(browser: Browser) -> Iterator[Running]:
    with running("bracket", "gear", queue=8, body=1 << 20, bodies=1 << 23) as one:
        browser.open(one.url)
        browser.wait_for("document.getElementById('model').options.length === 2")
        yield one
        browser.call("Page.navigate", url="about:blank")  # its connections end


def written(folder: Path, **values: int | bytes) -> list[Path]:
    """Files with photographs of one value, or with other bytes, by name."""
    paths = []
    for name, value in values.items():
        data = photograph(value, 120, 90) if isinstance(value, int) else value
        paths.append(folder / f"{name}.png")
        paths[-1].write_bytes(data)
    return paths


def check_looks(browser: Browser, name: str) -> None:
    """People can read and use what is there, on a desk and on a phone, light and dark.

    Where a folder for them is named, there are pictures to look at.
    """
    for width in (1200, 390):
        for dark in (False, True):
            browser.look(width, 1000, dark=dark)
            if folder := os.environ.get("VQI_TEST_PICTURES"):
                browser.shoot(Path(folder) / f"{name}-{width}-{'dark' if dark else 'light'}.png")
            assert browser.barriers() == []
            assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    browser.look(1200, 1000)


@pytest.mark.slow
def test_photographs_go_up_and_verdicts_come_back(browser: Browser, served: Running, tmp_path: Path) -> None:
    browser.evaluate("document.getElementById('model').value = 'gear'")
    browser.choose("#files", written(tmp_path, good=60, bad=150))
    browser.wait_for("document.querySelectorAll('#list li').length === 2")
    assert served.service.scorers["gear"].scored == 2
    assert browser.text("#verdict") == "✕ Not like the good parts"
    assert browser.text("#score") == "150"
    assert browser.text("#threshold") == "100"
    assert browser.text("#share") == "3 of 10 good parts are at least as unusual"
    assert browser.text("#where") == "3 × 4 pixels at 1, 2; outlined in the picture"
    assert browser.text("#version") == "gear, version 7"
    assert browser.text("#name") == "bad.png"
    browser.wait_for("document.getElementById('picture').naturalWidth === 120")
    browser.choose("#camera", written(tmp_path, broken=b"no image"))
    browser.wait_for("document.querySelectorAll('#list li').length === 3")
    assert browser.text("#status").startswith("broken.png: not an image of a known format")
    assert browser.text("#verdict") == "✕ Not like the good parts"  # of the last one that has a verdict
    browser.evaluate("document.querySelectorAll('#list button')[2].click()")
    assert browser.text("#verdict") == "✓ Like the good parts"
    assert browser.evaluate("document.activeElement.id") == "result"
    check_looks(browser, "page")
    controls = browser.controls()
    assert all(name.strip() for _, name in controls), controls
    assert {"Choose photographs", "Take a photograph"} <= {name for _, name in controls}


# ------------------------------------------------------------------------------------------------------ answers

ANSWERED = "document.getElementById('answered').textContent.includes('You: %s')"
NAME = """
(() => {
  const who = document.getElementById("who");
  who.value = "%s";
  who.dispatchEvent(new Event("change"));
  document.activeElement.blur();
})()
"""


@pytest.fixture
def answering(browser: Browser, tmp_path: Path) -> Iterator[tuple[Running, Book]]:
    """A service that keeps verdicts; nobody has a name in this browser yet."""
    where = keeping(tmp_path / "store")
    with running(keeping=where, queue=8, body=1 << 20, bodies=1 << 23) as one:
        browser.open(one.url)
        browser.evaluate("localStorage.clear()")
        browser.open(f"{one.url}?")
        browser.wait_for("document.getElementById('kept').textContent.includes('is kept, with your name')")
        yield one, where.books["bracket"]
        browser.call("Page.navigate", url="about:blank")


def outcomes(book: Book) -> list[str]:
    return sorted(one.last.text for one in standing(book.entries()).values())


@pytest.mark.slow
def test_an_alarm_is_answered_with_one_key_and_taken_back(
    browser: Browser, answering: tuple[Running, Book], tmp_path: Path
) -> None:
    _, book = answering
    browser.choose("#files", written(tmp_path, first=150, good=60, second=160))
    browser.wait_for("document.querySelectorAll('#list li').length === 3 && !waiting")
    assert browser.text("#question") == "Was this alarm right?"
    browser.evaluate("waiting += 1")  # as if another photograph were on its way
    browser.press("g")
    assert browser.text("#answered").startswith("Wait until all photographs are scored")
    browser.evaluate("waiting -= 1")
    browser.press("g")  # nobody in particular
    assert browser.text("#answered") == "Write your name first: an answer has one."
    assert browser.evaluate("document.activeElement.id") == "who"
    browser.press("g")  # a letter of the name now
    browser.evaluate(NAME % "anna")
    browser.press("g")
    browser.wait_for(ANSWERED % "good part (false alarm)")
    browser.press("n")
    assert browser.text("#name") == "first.png"
    browser.evaluate("document.getElementById('kind').value = 'scratch'")
    browser.press("d")
    browser.wait_for(ANSWERED % "defect, scratch")
    assert outcomes(book) == ["defect:scratch", "good"]
    assert browser.evaluate("document.getElementById('kinds').options[0].value") == "scratch"
    assert [line for line in browser.text("#list").split("\n") if line.startswith("You")] == [
        "You: good part (false alarm)", "You: defect, scratch",
    ]  # fmt: skip
    check_looks(browser, "answers")
    assert {"Good part G", "Defect D", "Unclear U", "Take back Z"} <= {name for _, name in browser.controls()}
    browser.press("z")
    browser.wait_for("document.getElementById('undo').disabled")
    assert outcomes(book) == ["good"]
    assert browser.text("#answered") == ""
    browser.press("u")
    browser.wait_for(ANSWERED % "unclear")
    browser.press("n")
    assert browser.text("#answered") == "No other alarm is without an answer of yours."
    assert len(book.entries()) == 4


@pytest.mark.slow
def test_the_name_stays_and_keys_can_be_turned_off(
    browser: Browser, answering: tuple[Running, Book], tmp_path: Path
) -> None:
    one, book = answering
    browser.evaluate(NAME % "Zoë")
    browser.evaluate("document.getElementById('single').click()")
    browser.open(f"{one.url}?again")
    assert browser.evaluate("document.getElementById('who').value") == "Zoë"
    assert browser.evaluate("document.getElementById('single').checked") is False
    browser.choose("#files", written(tmp_path, bad=150))
    browser.wait_for("document.querySelectorAll('#list li').length === 1 && !waiting")
    browser.press("g")
    browser.evaluate("document.getElementById('single').click()")
    assert book.entries() == []
    browser.press("?")
    assert browser.evaluate("document.getElementById('keys').open")
    browser.press("g")  # not while the list of keys is open
    browser.press("Escape")
    browser.wait_for("!document.getElementById('keys').open")
    assert book.entries() == []
    browser.evaluate("document.getElementById('defect').click()")
    browser.wait_for(ANSWERED % "defect")
    (entry,) = book.entries()
    assert entry.by == "Zoë"


@pytest.mark.slow
def test_what_the_service_has_forgotten_is_scored_once_more(
    browser: Browser, answering: tuple[Running, Book], tmp_path: Path
) -> None:
    one, book = answering
    browser.evaluate(NAME % "anna")
    browser.choose("#files", written(tmp_path, bad=150))
    browser.wait_for("document.querySelectorAll('#list li').length === 1 && !waiting")
    one.service.app.state.service.recents = Recents(1, 1 << 20)
    one.service.scorer.version = 8
    browser.press("d")
    browser.wait_for(ANSWERED % "defect")
    (entry,) = book.entries()
    assert isinstance(entry, Verdict)
    assert (entry.version, entry.name) == (8, "bad.png")
    assert browser.text("#version") == "bracket, version 8"


@pytest.mark.slow
def test_an_answer_that_is_not_kept_is_said(
    browser: Browser, answering: tuple[Running, Book], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise VqiError("the disk is read-only")

    monkeypatch.setattr(Book, "add", fails)
    browser.evaluate(NAME % "anna")
    browser.choose("#files", written(tmp_path, bad=150))
    browser.wait_for("document.querySelectorAll('#list li').length === 1 && !waiting")
    browser.press("d")
    browser.wait_for("document.getElementById('answered').textContent !== ''")
    assert browser.text("#answered") == "the disk is read-only"
    assert browser.evaluate("document.getElementById('undo').disabled")


@pytest.mark.slow
def test_the_score_among_those_of_good_parts(browser: Browser, served: Running, tmp_path: Path) -> None:
    browser.evaluate("document.getElementById('model').value = 'gear'")
    browser.choose("#files", written(tmp_path, bad=250))
    browser.wait_for("document.querySelectorAll('#list li').length === 1")
    assert browser.evaluate("document.querySelectorAll('#chart .bar').length") == 24
    assert browser.text("#legend") == "Scores of the 50 good parts that set the threshold; this part is above it"
    assert browser.evaluate("document.querySelector('#chart .part').textContent") == "this part, beyond the scale →"
    assert browser.evaluate("document.getElementById('bar').hidden")
    assert browser.evaluate("document.getElementById('answer').hidden")  # this service keeps none
    browser.press("g")
    served.service.scorers["bracket"].good_scores = np.zeros(0)  # as an exported file
    browser.evaluate("document.getElementById('model').value = 'bracket'")
    browser.choose("#files", written(tmp_path, other=250))
    browser.wait_for("document.querySelectorAll('#list li').length === 2")
    assert browser.evaluate("document.getElementById('spread').hidden")
    assert not browser.evaluate("document.getElementById('bar').hidden")


@pytest.mark.slow
def test_the_list_ends_with_the_last_fifty(browser: Browser, served: Running) -> None:
    browser.evaluate(DROP % (53, base64_of(photograph(60))))
    browser.wait_for("document.getElementById('status').textContent === 'Done.'")
    assert browser.evaluate("document.querySelectorAll('#list li').length") == 50
    assert browser.text("#list li").split("\n")[-1] == "p52.png"  # the newest first
    assert sum(one.scored for one in served.service.scorers.values()) == 53


@pytest.mark.slow
def test_by_keyboard(browser: Browser, served: Running, tmp_path: Path) -> None:
    browser.choose("#files", written(tmp_path, good=60))
    browser.wait_for("document.querySelectorAll('#list li').length === 1")
    browser.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(6):
        browser.press("Tab")
        reached.append(browser.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[:4] == ["model", "files", "camera", "BUTTON"]
    browser.evaluate("document.querySelector('#list button').focus()")
    browser.press("Enter")
    assert browser.evaluate("document.activeElement.id") == "result"


@pytest.mark.slow
def test_names_are_text_and_nothing_else(browser: Browser, served: Running, tmp_path: Path) -> None:
    evil = "<img src=x onerror=document.title=1>"
    browser.choose("#files", written(tmp_path, **{evil: 60}))
    browser.wait_for("document.querySelectorAll('#list li').length === 1")
    assert browser.text("#name") == f"{evil}.png"
    assert browser.evaluate("document.title") == "Visual quality inspection"


@pytest.mark.slow
def test_it_asks_for_the_token(browser: Browser, tmp_path: Path) -> None:
    with running(token=TOKEN) as one:
        browser.open(one.url)
        browser.wait_for("!document.getElementById('access').hidden")
        assert browser.evaluate("document.activeElement.id") == "token"
        browser.evaluate(f"document.getElementById('token').value = '{TOKEN}'")
        browser.evaluate("document.querySelector('#access button').click()")
        browser.wait_for("document.getElementById('model').options.length === 1")
        assert browser.evaluate("document.getElementById('choice').hidden")  # nothing to choose
        browser.choose("#files", written(tmp_path, bad=150))
        browser.wait_for("document.querySelectorAll('#list li').length === 1")
        assert browser.text("#verdict") == "✕ Not like the good parts"
        browser.call("Page.navigate", url="about:blank")


SHARES = {
    1.0: "all good parts are at least as unusual",
    0.5: "5 of 10 good parts are at least as unusual",
    0.1: "1 of 10 good parts is at least as unusual",
    0.05: "5 of 100 good parts are at least as unusual",
    0.01: "1 of 100 good parts is at least as unusual",
    0.006: "6 of 1,000 good parts are at least as unusual",
    0.0001: "fewer than 1 of 1,000 good parts is at least as unusual",
}


@pytest.mark.slow
def test_the_p_value_in_words(browser: Browser, served: Running) -> None:
    assert {share: browser.evaluate(f"inWords({share})") for share in SHARES} == SHARES
