"""The chart and ``check_cron_line`` take the same cron lines, and Argo takes those and starts something."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from random import Random

from jsonschema import Draft7Validator

from tests.chart import helm
from tests.chart.rendering import CHART
from tests.fuzz import fuzz_cases
from tests.pipelines.argo.crds import Problems
from vqi.errors import VqiError
from vqi_pipelines.argo.cron_lines import check_cron_line

FIELDS = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, ("jan", "feb", "mar", "apr", "jun", "sep", "DEC")),
    (0, 6, ("sun", "mon", "Fri", "SAT")),
)
# What meets in a line that never comes.
DAYS = ("30", "31", "30,31", "30-31", "31/2", "29", "30/1", "1,31")
MONTHS = ("2", "feb", "4,6", "4-6/2", "2/11", "2-12/12", "4,jun,9/2", "1", "11/5", "02", "2-2", "2/10")
WEEKDAYS = ("*", "?", "*/1", "*/2", "1,*", "3", "*/01")


def element(random: Random, lowest: int, highest: int, names: tuple[str, ...]) -> str:
    def value() -> str:
        if names and random.random() < 0.3:
            return random.choice(names)
        number = (
            random.randint(lowest, highest) if random.random() < 0.9 else random.choice([lowest - 1, highest + 1, 99])
        )
        return f"{number:02}" if random.random() < 0.1 else str(number)

    kind = random.random()
    text = random.choice("**?") if kind < 0.35 else value() if kind < 0.7 else f"{value()}-{value()}"
    step = random.choice(["1", "2", "01", "0", "5", "11", "40", "1000", "99999"])
    return f"{text}/{step}" if random.random() < 0.2 else text


def a_line(random: Random) -> str:
    fields = [",".join(element(random, *field) for _ in range(random.choice([1, 1, 1, 2]))) for field in FIELDS]
    if random.random() < 0.3:
        fields = ["0", "3", random.choice(DAYS), random.choice(MONTHS), random.choice(WEEKDAYS)]
    line = random.choice([" ", " ", "  ", "\t"]).join(fields)
    if random.random() < 0.05:
        place = random.randrange(len(line))
        line = line[:place] + random.choice("x, -/*\t@é\n7") + line[place + random.randint(0, 1) :]
    return line


@cache
def schema() -> Draft7Validator:
    whole = json.loads((CHART / "values.schema.json").read_text())
    return Draft7Validator(whole["properties"]["schedule"]["properties"]["schedules"]["items"])


@cache
def read(line: str) -> str | None:
    try:
        return check_cron_line(line, "line")
    except VqiError:
        return None


@cache
def lines() -> list[str]:
    random = Random(14)
    return [a_line(random) for _ in range(fuzz_cases(400, 60_000))]


def test_the_schema_takes_the_same_lines() -> None:
    taken = 0
    for line in lines():
        assert schema().is_valid(line) == (read(line) is not None), line
        taken += read(line) is not None
    assert taken > 50


def test_argo_takes_them_and_they_come(crd_problems: Problems) -> None:
    """Both versions, by their CRDs and by the parser they use; and nothing else that is made here would come."""
    schedule = {"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "metadata": {"name": "x"}}
    workflow = {"entrypoint": "x", "templates": [{"name": "x", "suspend": {}}]}
    good = [text for line in lines() if (text := read(line))]
    for start in range(0, len(good), 100):
        spec = {"schedules": good[start : start + 100], "workflowSpec": workflow}
        assert crd_problems({**schedule, "spec": spec}) == []
    for line in lines():
        text = read(line)
        if text:
            assert crd_problems(text) == [], line
            assert crd_problems(line) == [], line
        elif not re.search(r"[/,\n]|[*?]-", line):  # its parser also takes "1,,2", "*-1" and longer steps
            assert crd_problems(line), line


def test_the_chart_writes_the_same_line(tmp_path: Path) -> None:
    """In a chart that has only the template for it."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: cron\nversion: 0.0.0\n")
    (tmp_path / "templates" / "_cron.tpl").write_text((CHART / "templates" / "_cron.tpl").read_text())
    written = '{{ range .Values.lines }}{{ include "vqi.cronLine" . | quote }}\n{{ end }}'.replace("\\n", "\n")
    (tmp_path / "templates" / "lines.yaml").write_text(written)
    good = [line for line in lines() if read(line)]
    (text,) = helm.render(str(tmp_path), {"lines": good}, "rel", "ml").values()
    assert [json.loads(line) for line in text.splitlines() if line] == [read(line) for line in good]
