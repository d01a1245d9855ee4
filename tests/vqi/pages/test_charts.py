"""Charts: valid SVG, every image counted once and on the side of its decision."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqi.pages.charts import Group, _edges, bin_counts, histogram_svg, nice_ticks, roc_svg

SVG = "{http://www.w3.org/2000/svg}"
finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


def parse(svg: str) -> ET.Element:
    root = ET.fromstring(svg)
    assert root.tag == SVG + "svg"
    assert root.get("aria-label")
    assert root.find(SVG + "title") is not None
    return root


def words(root: ET.Element) -> list[str]:
    return [node.text or "" for node in root.iter(SVG + "text")]


def test_roc_has_curve_axes_chance_line_and_operating_point() -> None:
    root = parse(roc_svg(np.array([0, 0.5, 1]), np.array([0, 0.9, 1]), (0.5, 0.9)))
    curve = root.find(SVG + "path")
    points = re.findall(r"([\d.]+) ([\d.]+)", curve.get("d"))
    dot = root.find(SVG + "circle")
    assert (dot.get("cx"), dot.get("cy")) == points[1]
    chance = next(line for line in root.iter(SVG + "line") if "dasharray" in line.get("style"))
    assert (chance.get("x1"), chance.get("y1")) == points[0]
    assert (chance.get("x2"), chance.get("y2")) == points[2]
    assert "90.0 % caught, 50.0 % false alarms" in words(root)
    assert "good parts flagged (false alarms)" in words(root)


def test_roc_without_operating_point() -> None:
    assert parse(roc_svg(np.array([0.0, 1]), np.array([0.0, 1]))).find(SVG + "circle") is None


def test_histogram_has_a_panel_a_group_and_says_what_it_counts() -> None:
    good, bad = np.array([1.0, 2, 3, 5]), np.array([4.0, 7])
    groups = [Group("Good <b>", good, "good", "passed", "false alarms"), Group("Bad", bad, "bad", "missed", "caught")]
    root = parse(histogram_svg(groups, 3.0))
    assert {"Good <b>", "Bad", "3 passed | 1 false alarms", "0 missed | 2 caught"} <= set(words(root))
    fills = [bar.get("style") for bar in root.iter(SVG + "rect")]
    assert sum("--good" in fill for fill in fills) == 4
    assert sum("--bad" in fill for fill in fills) == 2


def test_bars_are_on_the_side_of_the_threshold_line() -> None:
    root = parse(histogram_svg([Group("g", np.array([3.0, 3.0001]), "good", "a", "b")], 3.0))
    at = next(float(line.get("x1")) for line in root.iter(SVG + "line") if "dasharray" in line.get("style"))
    left, right = sorted(root.iter(SVG + "rect"), key=lambda bar: float(bar.get("x")))
    assert float(left.get("x")) + float(left.get("width")) <= at <= float(right.get("x"))


def test_far_scores_are_counted_in_the_last_bar_and_said() -> None:
    scores = np.append(np.linspace(0, 1, 200), 1000.0)
    root = parse(histogram_svg([Group("g", scores, "good", "a", "b")], 0.9))
    assert "(the last bar also counts 1 further to the right)" in words(root)
    assert len(list(root.iter(SVG + "rect"))) > 20  # not all in one bar


@given(st.lists(finite, min_size=1, max_size=50), finite)
def test_each_score_is_counted_once_on_its_side(values: list[float], threshold: float) -> None:
    scores = np.array(values)
    edges, _ = _edges(scores, threshold)
    counts = bin_counts(scores, edges, threshold)
    assert counts.sum() == len(scores)
    middle = int(np.abs(edges - threshold).argmin())
    assert counts[:middle].sum() == (scores <= threshold).sum()
    parse(histogram_svg([Group("g", scores, "good", "a", "b")], threshold))


@given(finite, st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_inside_and_even(low: float, width: float, most: int) -> None:
    high = low + width
    ticks = nice_ticks(low, high, most)
    assert 1 <= len(ticks) <= most
    assert all(low - 1e-6 * width <= tick <= high + 1e-6 * width for tick in ticks)
    assert np.diff(ticks, 2) == pytest.approx(0, abs=1e-6 * width)


def test_ticks_by_hand() -> None:
    assert nice_ticks(0, 10, 6) == [0, 2, 4, 6, 8, 10]
    assert nice_ticks(0.11, 0.29, 4) == [0.15, 0.2, 0.25]
