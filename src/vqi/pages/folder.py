"""A page as a folder: its pictures are files beside it, for a server that shows no picture that is part of a page.

Argo's server is one: it sends each page with the policy ``img-src 'self'``.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from vqi.system.atomic import atomic_path

INDEX = "index.html"
_PICTURES = "pictures"
_PICTURE = re.compile(r'src="data:image/jpeg;base64,([A-Za-z0-9+/=]+)"')
_UP = 'href="../'
_WITHIN, _BESIDE = "img-src data:", "img-src 'self'"  # of the page's own policy


def write_folder(folder: Path, page: str) -> None:
    """Write a self-contained page as ``index.html``, and each of its pictures once, as ``pictures/<number>.jpg``.

    Args:
        folder: Becomes the page, whole or not at all.
        page: With pictures as data URIs, as ``vqi.pages.maps.data_uris`` makes them.

    Raises:
        OSError: It cannot be written.
    """
    names: dict[str, str] = {}

    def beside(found: re.Match[str]) -> str:
        name = names.setdefault(found[1], f"{_PICTURES}/{len(names):03}.jpg")
        return f'src="{name}"'

    text = (
        _PICTURE.sub(beside, page).replace(_WITHIN, _BESIDE, 1).replace(_UP, f"{_UP}../")
    )  # it is a folder further in
    with atomic_path(folder) as unfinished:
        (unfinished / _PICTURES).mkdir(parents=True)
        for data, name in names.items():
            (unfinished / name).write_bytes(base64.b64decode(data))
        (unfinished / INDEX).write_text(text, encoding="utf-8", newline="")
