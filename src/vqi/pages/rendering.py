"""HTML pages from the templates next to this module: self-contained, no JavaScript, everything escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from vqi import __version__, formatting
from vqi.pages import templates

if TYPE_CHECKING:
    import jinja2

_NBSP = "\N{NO-BREAK SPACE}"


def render(template: str, **values: Any) -> str:
    """A page from a template of ``vqi/pages/templates``; an unknown name in it is an error."""
    return _environment().get_template(template).render(version=__version__, **values)


@cache  # it keeps the templates that it compiled
def _environment() -> jinja2.Environment:
    import jinja2  # here, because steps that make no page import this module, too

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates.FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        figure=formatting.figure,
        ordinal=formatting.ordinal,
        unbroken=lambda words: words.replace(" %", _NBSP + "%"),  # keeps a number and its percent sign on one line
    )
    return environment
