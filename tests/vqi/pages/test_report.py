"""The report: what it says with much, little and no data; escaping; its size; how a browser renders it."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.browser import FLAGS, find_chromium
from tests.vqi import made
from vqi import metrics
from vqi.artifacts.detector import Difference
from vqi.artifacts.metrics import Roc
from vqi.conclusion import Conclusion
from vqi.detectors.calibration import conformal_threshold, operating_points
from vqi.pages import findings, maps
from vqi.pages.report import ReportData, ReportImage, Setting, choose_examples, render_report

SIDE = 48


class Page(HTMLParser):
    """Tags with their attributes, and the text outside of the style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self._words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).replace("\u00a0", " ").split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def example(random: np.random.Generator, label: int, score: float, threshold: float, group: str) -> ReportImage:
    image = random.integers(90, 150, (SIDE, SIDE, 3)).astype(np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10:20, 12:30] = bool(label)
    return ReportImage(
        path=f"test/{label}/{score:.3f}.png",
        label=label,
        defect_type="scratch" if label else "good",
        score=score,
        decision=int(score > threshold),
        image=image,
        anomaly_map=(random.random((SIDE, SIDE)) + 3 * mask).astype(np.float32),
        mask=mask if label else None,
        group=group,
    )


def report(good: Sequence[float], bad: Sequence[float], calibration: int = 200, examples: int = 3) -> ReportData:
    """A report of test parts with these scores, calibrated on 1 ... n at 5 %."""
    random = np.random.default_rng(0)
    calibrated = np.arange(1.0, calibration + 1)
    points = operating_points(calibrated, 0.05)
    threshold = next(one for one in points if one.target_fpr == 0.05)
    labels = np.repeat([0, 1], [len(good), len(bad)])
    scores = np.array([*good, *bad], float)
    types = ["scratch" if score < 180 else "dent" for score in scores]
    low, high = metrics.bootstrap_interval(labels, scores, 0, repeats=1000) or (None, None)
    figures = made.metrics(
        test_good=len(good),
        test_anomalous=len(bad),
        image_auroc=metrics.image_auroc(labels, scores),
        image_auroc_low=low,
        image_auroc_high=high,
        **dict(metrics.at_threshold(labels, scores, threshold.value)),
        **dict(metrics.oracle(labels, scores)),
        operating_points=tuple(metrics.operating_point(one, labels, scores, types) for one in points),
    )
    chosen = choose_examples(labels, scores, threshold.value, examples)
    images = [example(random, int(labels[row]), scores[row], threshold.value, group) for row, group in chosen]
    images += [example(random, 0, 199.0, threshold.value, "unusual")] if examples else []
    return ReportData(
        category="bracket",
        dataset="folder@1a2b",
        metrics=figures,
        labels=labels,
        scores=scores,
        threshold=threshold,
        roc=Roc(threshold=threshold.value, points=tuple(metrics.roc_points(labels, scores))),
        calibration_scores=calibrated,
        images=images,
        map_limit=1.0,
        settings={"Detector": [Setting("folds", 10, "divide the good photographs")]},
        data={"Photographs": {"train, good": 9}, "Could not be read": {"x.png": "truncated"}},
        provenance={"Backbone": "timm/x", "Their sha256": "ab12"},
        conclusion=Conclusion("with care", "It misses some.", ("Look at the missed ones.", "Then run again.")),
        warnings=["Mind the gap."],
    )


GOOD = [
    *np.linspace(1, 150, 94),
    191,
    195,
    196,
    197,
    198,
    199,
]  # above the threshold, 191: five
BAD = [100, 150, 192, *np.linspace(250, 400, 7)]


def test_says_in_plain_words_what_was_found() -> None:
    page = Page(render_report(report(GOOD, BAD)))
    headline = "Of 100 good parts 5 would be flagged (5.0 %); of 10 defective parts 8 would be caught (80.0 %)."
    assert headline in page.text
    assert (
        "A false-alarm rate of 5 % needs at least 19 good images to calibrate on; there were 200, and the" in page.text
    )
    assert "the threshold is the 191st lowest." in page.text
    assert "80.0 % caught, 5.0 % false alarms" in page.text  # in the ROC curve
    assert "95 passed | 5 false alarms" in page.text  # in the histogram
    assert "Seen on 100 good test parts: 5.0 %, within the" in page.text
    assert (
        "Can it be used? with care It misses some. What to do now Look at the missed ones. Then run again." in page.text
    )
    assert page.text.index("Of 100 good parts") < page.text.index("Then run") < page.text.index("Mind the gap.")
    for found in ("Image AUROC", "False alarms 5.0 %", "ab12", "x.png truncated", "folds 10 divide the good"):
        assert found in page.text
    assert len(page.all("svg")) == 2


def test_oracle_figures_are_set_apart_and_labelled() -> None:
    text = Page(render_report(report(GOOD, BAD))).text
    apart = text.index("For comparison only: figures that use the test labels")
    assert text.index("Best possible accuracy") > apart
    assert text.count("Best possible accuracy") == 1


@pytest.mark.parametrize(
    ("good", "bad", "said", "charts"),
    [
        ([], [], "Nothing could be measured: there are no test images.", 1),
        (GOOD, [], "how many defects would be caught could not be measured", 1),
        ([], BAD, "the false alarms could not be measured", 1),
        ([5.0], [300.0], "Of 1 good part 0 would be flagged (0.0 %); of 1 defective part 1 would be caught", 2),
    ],
)
def test_with_little_to_measure(good: list[float], bad: list[float], said: str, charts: int) -> None:
    html = render_report(report(good, bad))
    page = Page(html)
    assert said in page.text
    assert len(page.all("svg")) == charts
    assert ("For comparison only" in page.text) == bool(len(good) and len(bad))
    assert "None" not in page.text
    assert "nan" not in re.findall(r"\w+", page.text)


def test_how_many_of_the_mistakes_are_shown_and_no_figure_of_both_kinds_where_one_is_missing() -> None:
    few = Page(render_report(report(GOOD, BAD, examples=2))).text
    assert re.search(r"the highest scores first\. 2 of 5;", few), "false alarms"
    every = Page(render_report(report(GOOD, BAD, examples=50))).text
    assert "the highest scores first." in every
    assert "shows up to 50" not in every
    for good, bad, alone in (([], BAD, "Defects caught"), (GOOD, [], "False alarms")):
        one = Page(render_report(report(good, bad))).text
        assert alone in one
        assert not any(name in one for name in ("Right decisions", "Flagged rightly", "F1"))
    assert all(name in few for name in ("Right decisions", "Flagged rightly", "F1"))


def test_too_few_calibration_images_are_said() -> None:
    text = Page(render_report(report(GOOD, BAD, calibration=10))).text
    assert "needs at least 19 good images to calibrate on, and 59 for a threshold that does not hang on" in text
    assert "there were 10. So it is the estimate" in text
    assert "the score of that rank alone would be 10." in text
    text = Page(render_report(report(GOOD, BAD, calibration=4))).text
    assert "there were 4. That is too few: the threshold is the highest score among them." in text


def test_other_thresholds_are_in_a_table_with_the_worst_type_first() -> None:
    text = Page(render_report(report(GOOD, BAD))).text
    table = text[text.index("Other thresholds to choose from") :]
    assert table.index("scratch") < table.index("dent"), "no scratch is caught, and all dents are"
    rates = [table.index(f" {rate} %") for rate in ("0.5", "1", "2", "5", "10")]
    assert rates == sorted(rates)
    assert "0.5 % too few good images to promise it" not in table
    assert "5 % in use 191 50 (" in table, "threshold, and expected false alarms in 1,000 good parts"
    few = Page(render_report(report(GOOD, BAD, calibration=50))).text
    assert "1 % too few good images to promise it" in few
    fitted = Page(render_report(report(GOOD, BAD, calibration=14))).text
    assert "5 % in use, too few good images to promise it" in fitted
    assert [f"{count} by the curve" in fitted for count in (5, 10, 20, 50)] == [True] * 4
    assert fitted.count("by the scores alone") == 5
    assert "by the scores alone" not in Page(render_report(report(GOOD, BAD, calibration=4000))).text


def test_the_higher_threshold_is_offered_where_it_is_not_in_use() -> None:
    lower = Difference(group=None, units=30, others=40, p_value=1e-5, higher=0.2, wider_threshold=7.25)
    (said,) = findings.differing([("", lower)], conformal_threshold(np.arange(30.0) / 10, 0.1), finetuned=False)
    assert said == (
        "The images for calibration score systematically lower than training images: in 80.0 % of the pairs, by a "
        "model that saw neither (Mann-Whitney test of 30 and 40 parts or groups, p = 1e-05). They may be of another "
        "day, light or camera. The threshold in use is 2.7; for good parts of both kinds take the higher one, 7.25."
    )


def test_nothing_is_loaded_run_or_unescaped() -> None:
    evil = '<script>alert("x")</script>'
    plain = report(GOOD, BAD)
    html = render_report(
        replace(
            plain,
            category=evil,
            dataset=evil,
            warnings=[evil],
            images=[replace(one, path=evil, defect_type=evil) for one in plain.images],
            settings={evil: [Setting(evil, {evil: evil}, evil)]},
            conclusion=Conclusion("no", evil, (evil,)),
            data={evil: [evil] * 20},
            provenance={evil: {evil: [evil]}},
        )
    )
    page = Page(html)
    assert evil in page.text
    assert not page.all("script")
    policy = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not page.all("link")
    assert "url(" not in html


def test_each_example_is_image_map_and_overlay_with_words_for_each() -> None:
    data = report(GOOD, BAD)
    page = Page(render_report(data))
    pictures = page.all("img")
    assert len(pictures) == 3 * len(data.images)
    assert all(picture["alt"] for picture in pictures)
    headings = ("False alarms", "Missed", "Are these really good?", "Typical defects", "Typical good")
    assert all(f" {heading} " in page.text for heading in headings)


@pytest.mark.slow
def test_size_is_bounded_with_many_noisy_images() -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (256, 256, 3)).astype(np.uint8)
    one = report(GOOD, BAD).images[0]
    hot = random.random((256, 256)).astype(np.float32)
    images = [replace(one, image=noise, anomaly_map=hot)] * 60
    assert len(render_report(replace(report(GOOD, BAD), images=images))) < 2_000_000


def test_same_data_same_bytes() -> None:
    assert render_report(report(GOOD, BAD)) == render_report(report(GOOD, BAD))


# ---------------------------------------------------------------------------------------------------------- examples


def test_examples_are_the_worst_mistakes_and_the_typical() -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    scores = np.array([1, 2, 3, 12, 14, 4, 6, 20, 30, 40.0])
    assert choose_examples(labels, scores, 10, 1) == [
        (4, "false alarms"),
        (5, "missed"),
        (7, "typical defects"),
        (2, "typical good"),
    ]
    assert [row for row, group in choose_examples(labels, scores, 10, 2) if group == "false alarms"] == [4, 3]
    assert choose_examples(labels, scores, 10, 0) == []
    assert choose_examples(labels[:0], scores[:0], 10, 3) == []


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), max_size=30), st.integers(0, 6))
def test_no_image_is_chosen_twice_and_groups_are_true(cases: list[tuple[int, int]], count: int) -> None:
    labels = np.array([label for label, _ in cases], np.int64)
    scores = np.array([score for _, score in cases], np.float64)
    chosen = choose_examples(labels, scores, 4.0, count)
    assert len({row for row, _ in chosen}) == len(chosen)
    for row, group in chosen:
        assert labels[row] == (group in ("missed", "typical defects"))
        assert group != "false alarms" or scores[row] > 4
        assert group != "missed" or scores[row] <= 4
    for group in ("false alarms", "missed", "typical defects", "typical good"):
        assert sum(one == group for _, one in chosen) <= count


# -------------------------------------------------------------------------------------------------------------- maps


def test_one_colour_scale_from_the_limit_of_good_parts() -> None:
    values = np.array([[0, 1, 2, 4, 16, 99]], np.float32)
    assert maps.on_scale(values, 2.0)[0].tolist() == pytest.approx([0, 0, 0.25, 0.5, 1, 1]), "by ratios, 0.5 to 8 times"
    assert np.isfinite(maps.on_scale(values, 0.0)).all()
    page = render_report(replace(report(GOOD, BAD), map_limit=4.0))
    scale = re.sub(r"<[^>]*left: (\d+)%[^>]*>", r" \1% ", page)
    assert re.search(r">usual .* 25% .* 8 times the limit of good parts, or more</div>", scale)


def test_lightness_rises_with_the_value() -> None:
    colours = maps.coloured(np.linspace(0, 1, 64, dtype=np.float32)[None])[0].astype(float)
    assert (np.diff(colours @ [0.299, 0.587, 0.114]) > 0).all()


def test_overlay_leaves_normal_pixels_and_the_inside_of_the_mask_alone() -> None:
    image = np.full((32, 32, 3), 100, np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    result = maps.overlaid(image, np.zeros((32, 32), np.float32), mask)
    assert (result[mask] == 100).all()
    assert (result[7, 8:16] == maps._OUTLINE).all()
    assert (result[20:, 20:] == 100).all()
    assert (image == 100).all()
    whole = maps.overlaid(image, np.zeros((32, 32), np.float32), np.ones((32, 32), bool))
    assert (whole[0] == maps._OUTLINE).all()


# ----------------------------------------------------------------------------------------------------------- browser


@pytest.fixture(scope="module")
def chromium() -> str:
    return find_chromium()


def browse(chromium: str, folder: Path, *arguments: str) -> str:
    command = [chromium, *FLAGS, "--window-size=1200,1500", f"--user-data-dir={folder / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.slow
def test_browser_renders_it_without_script(chromium: str, tmp_path: Path) -> None:
    evil = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
    (tmp_path / "report.html").write_text(render_report(replace(report(GOOD, BAD), category=evil)), encoding="utf-8")
    url, shot = (tmp_path / "report.html").as_uri(), tmp_path / "shot.png"
    page = Page(browse(chromium, tmp_path, "--dump-dom", url))
    assert "Of 100 good parts 5 would be flagged" in page.text
    assert not page.all("script")
    assert len(page.all("svg")) == 2
    browse(chromium, tmp_path, f"--screenshot={shot}", url)
    with Image.open(shot) as opened:
        pixels = np.asarray(opened.convert("RGB")).reshape(-1, 3)
    seen = {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}
    assert {(0x0B, 0x62, 0xA4), (0xB8, 0x43, 0x00)} <= seen  # the bars of good and of defective parts
    assert np.mean((pixels == pixels[0]).all(axis=1)) < 0.9
