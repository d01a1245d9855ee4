"""A made-up mirror: a file with a line per version."""

from pathlib import Path

from vqi.mirrors.mirroring import Model


def bring(model: Model, server: str) -> None:
    """See ``vqi.mirrors.mirroring``."""
    lines = [f"{model.name} {one.tags['vqi.version']} {one.figures['recall']}\n" for one in model.versions]
    Path(server).write_text("".join(lines))
