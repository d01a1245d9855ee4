"""The files that a step writes."""

from importlib import import_module
from pathlib import Path


def output_files(step: str, folder: Path) -> dict[str, Path]:
    """A path in ``folder`` for each output of the step, by the output's name."""
    fields = import_module(f"vqi_components.{step}.__main__").Arguments.model_fields.items()
    return {name: folder / name for name, field in fields if (field.description or "").startswith("output")}


def output_flags(step: str, folder: Path) -> list[str]:
    """The same as flags of the step's command."""
    return [f"--{name.replace('_', '-')}={path}" for name, path in output_files(step, folder).items()]
