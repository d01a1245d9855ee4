"""The command ``vqi`` with all its subcommands, and how each shows a known error."""

from __future__ import annotations

import sys
from typing import Any

import click

from vqi import __version__
from vqi.errors import BAD_INPUT, VqiError, not_installed
from vqi_pipelines.commands.check import check
from vqi_pipelines.commands.compare import compare
from vqi_pipelines.commands.compile import compile_command
from vqi_pipelines.commands.completion import completion
from vqi_pipelines.commands.doctor import doctor
from vqi_pipelines.commands.export import export
from vqi_pipelines.commands.gc import gc
from vqi_pipelines.commands.layers import layers
from vqi_pipelines.commands.models import models
from vqi_pipelines.commands.parameters import parameters
from vqi_pipelines.commands.predict import predict
from vqi_pipelines.commands.run import run
from vqi_pipelines.commands.runs import runs
from vqi_pipelines.commands.serve import serve
from vqi_pipelines.commands.step import step
from vqi_pipelines.commands.submit import submit
from vqi_pipelines.commands.threshold import threshold
from vqi_pipelines.commands.train import train
from vqi_pipelines.commands.verdict import verdict


class Commands(click.Group):
    """Commands that show a known error, and an extra that is not installed, as one line on stderr with exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except VqiError as error:
            refusal = str(error)
        except ModuleNotFoundError as error:
            missing = not_installed(error.name)
            if missing is None:
                raise
            refusal = f"'{ctx.info_name} {ctx.invoked_subcommand}' {missing}"
        except OSError as error:
            from vqi.system.os_errors import explain, is_known

            if not is_known(error):
                raise
            refusal = explain(error, ctx.invoked_subcommand)
        from vqi.redaction import shown_line

        click.echo(f"error: {shown_line(str(refusal))}", err=True)
        sys.exit(BAD_INPUT)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="vqi")
def vqi() -> None:
    """Visual quality inspection: learn what good parts look like, flag what is not.

    \b
    Start here:
      vqi run                                  the whole pipeline on the embedded dataset
      vqi train /data/parts                    on your own photographs
      vqi check /data/parts                    what to know of them, in seconds
      vqi predict store/models/elpv/mono IMAGE... score new images with the champion
    """


models.add_command(threshold)  # of a version, as the others are; also by its own name, for operators

for command in (
    train,
    check,
    run,
    runs,
    compare,
    gc,
    step,
    parameters,
    compile_command,
    layers,
    predict,
    export,
    serve,
    models,
    verdict,
    threshold,
    submit,
    doctor,
    completion,
):
    vqi.add_command(command)
