"""The names of what a run writes: the folders of a loop's iterations, the files of artifacts."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

_PLAIN = re.compile(r"[^\W_][\w.\- ]*")
_BY_PLACE = re.compile(r"item-\d+")
_ENDINGS = {"system.HTML": ".html", "system.Markdown": ".md"}
_FILE_ENDINGS = (".json", ".md", ".csv", ".html", ".txt")  # the run's own files are next to the folders
_MOST_BYTES = 200  # file systems allow 255


def item_labels(items: list[Any], reserved: Collection[str] = ()) -> list[str]:
    """A folder name for each item of a loop, all different: the item itself if it can be one, otherwise its place.

    Args:
        items: Items of the loop.
        reserved: Names of other folders, such as those of tasks.
    """
    names = [item if isinstance(item, str) else json.dumps(item) for item in items]
    return [
        name if names.count(name) == 1 and name not in reserved and _is_plain(name) else f"item-{place}"
        for place, name in enumerate(names)
    ]


def _is_plain(name: str) -> bool:
    """Whether it is a folder name that leads nowhere else and cannot be mistaken for something else."""
    return (
        _PLAIN.fullmatch(name) is not None
        and _BY_PLACE.fullmatch(name) is None
        and not name.lower().endswith(_FILE_ENDINGS)
        and len(name.encode()) <= _MOST_BYTES
    )


def file_name(name: str, schema: str) -> str:
    """The name of an artifact's file, with the extension that a browser needs to show it."""
    return name + _ENDINGS.get(schema, "")
