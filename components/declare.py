"""What the declarations of the steps share. Imports kfp only: declaring and compiling need nothing that a step runs."""

from __future__ import annotations

from kfp import dsl

from vqi import __version__

# Of this release: a tag that moves would change what a compiled pipeline does.
LIGHT_IMAGE = f"vqi:{__version__}"
TORCH_IMAGE = f"vqi-torch:{__version__}"
# Kubeflow replaces it by the JSON of all inputs and outputs: components/executor_output.py
EXECUTOR_INPUT = dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER


def step(name: str, container_image: str, **flags: object) -> dsl.ContainerSpec:
    """A container that runs ``python -m vqi_components.<name>`` with a flag for each input and output."""
    args: list[object] = []
    for flag, value in flags.items():
        args += [f"--{flag.replace('_', '-')}", value]
    return dsl.ContainerSpec(image=container_image, command=["python", "-m", f"vqi_components.{name}"], args=args)
