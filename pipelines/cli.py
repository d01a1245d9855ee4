"""Where the command ``vqi`` starts. Imports nothing from the extras, so that it can report what is missing."""

from __future__ import annotations

import gc
import io
import os
import sys

from vqi.errors import BAD_INPUT, not_installed


def main() -> None:
    """Run the command ``vqi``; an extra that is missing is one line on stderr and exit code 2."""
    gc.set_threshold(100_000)  # a tenth of the start of `vqi predict` would go into looking through what is imported
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        from vqi_pipelines.commands.group import vqi

        if "_VQI_COMPLETE" in os.environ:  # a shell asks
            from vqi_pipelines.commands.completing import register

            register()
    except ModuleNotFoundError as error:
        refusal = not_installed(error.name)
        if refusal is None:
            raise
        sys.stderr.write(f"error: the command vqi {refusal}\n")
        sys.exit(BAD_INPUT)
    vqi()
