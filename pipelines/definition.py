"""The pipelines that a user's Python file defines."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from kfp.dsl.graph_component import GraphComponent

from vqi.errors import VqiError


def pipelines_of(file: Path) -> list[GraphComponent]:
    """The pipelines that ``@dsl.pipeline`` made in a file, in the order of the file.

    The file is executed and can import from its own folder, as with ``python file``.

    Raises:
        VqiError: The file does not exist, cannot be imported, or defines no pipeline.
    """
    if file.suffix != ".py" or not file.is_file():
        raise VqiError(f"{file}: expected a Python file that defines a pipeline with @dsl.pipeline")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise VqiError(f"{file}: Python cannot import it")
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent.absolute())
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # anything that the file raises
        raise VqiError(f"{file}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    finally:
        sys.path.remove(folder)
    found = [value for value in vars(module).values() if isinstance(value, GraphComponent)]
    own = [pipeline for pipeline in found if pipeline.pipeline_func.__module__ == file.stem]
    if not own:
        raise VqiError(f"{file}: expected a pipeline, found none: define one with @dsl.pipeline")
    return own
