"""``vqi parameters``: what can be set."""

from __future__ import annotations

import click


@click.command()
@click.option("--schema", is_flag=True, help="Print the JSON schema of a parameter file instead, for editors.")
def parameters(schema: bool) -> None:
    """List the pipeline's parameters: name, default, meaning; the detectors; the keys of 'finetune'."""
    if schema:
        from vqi_pipelines.parameter_schema import schema_text

        click.echo(schema_text(), nl=False)
        return
    from vqi_pipelines.compiled import pipeline_to_run
    from vqi_pipelines.ir import read_ir
    from vqi_pipelines.parameters import describe_detectors, describe_finetune, describe_parameters

    for name, default, meaning in describe_parameters(read_ir(pipeline_to_run())):
        click.echo(f"{click.style(name, bold=True)} = {default}\n    {meaning}")
    detectors = describe_detectors()
    click.echo(f"\ndetectors, chosen with -p detector={detectors[-1][0]}")
    for name, meaning in detectors:
        click.echo(f"  {click.style(name, bold=True)}\n      {meaning}")
    for method, keys in describe_finetune():
        click.echo(
            f"\nkeys of finetune for method {click.style(method, bold=True)}, as in -p finetune='{{\"patience\": 3}}'"
        )
        for name, default, meaning in keys:
            click.echo(f"  {click.style(name, bold=True)} = {default}\n      {meaning}")
