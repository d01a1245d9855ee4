"""What a page says below its title, once its run is known: which one, when, and where the other pages are.

A step writes its page without it: what the step made is the same in each run, and it does not know where it will lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from vqi.errors import VqiError
from vqi.pages.rendering import render

PLACE = "<!-- of this run -->"  # in the templates of the pages
_NONE: Mapping[str, str] = MappingProxyType({})


def with_run(
    page: str,
    run: str = "",
    when: datetime | None = None,
    links: Mapping[str, str] = _NONE,
    *,
    model: str = "",
    groups: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> str:
    """A page that says which run it is of.

    Args:
        page: With the place for it.
        run: Its name; '' for none.
        when: The page was completed; None for not known.
        links: Addresses of other pages, by what they are called.
        model: That the page is about; '' for none.
        groups: More addresses, by what they are of, below what they are.

    Raises:
        VqiError: It has no such place, or several.
    """
    if page.count(PLACE) != 1:
        raise VqiError("expected a page that this version of vqi wrote: run the step again that wrote it")
    at = f"{when:%-d %B %Y, %H:%M} UTC" if when else ""
    return page.replace(PLACE, render("run.html.j2", model=model, run=run, when=at, links=links, groups=groups))
