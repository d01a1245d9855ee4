"""The compiled pipeline: the local backend runs it, the other forms are made from it. Compiling imports kfp."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from vqi.artifacts.files import write_text
from vqi.digests import digest_json, sha256_bytes
from vqi.errors import VqiError
from vqi.system.cache import cache_folder
from vqi.system.os_errors import reason
from vqi.system.paths import local_path
from vqi.system.scratch import scratch_folder
from vqi_pipelines.sources import digest_of, modules_of, packages_digest

COMPILED = "VQI_COMPILED_PIPELINE"


def pipeline_to_run() -> str:
    """The training pipeline as PipelineSpec YAML: the file that ``$VQI_COMPILED_PIPELINE`` names, otherwise compiled.

    The container image sets that variable, and has no kfp. A pipeline compiled before from the same sources with the
    same packages is taken from the user's cache, because kfp takes seconds to import.

    Raises:
        VqiError: The file cannot be read.
    """
    named = os.environ.get(COMPILED)
    if not named:
        try:
            folder = cache_folder()
        except VqiError:  # a home folder that is not writable must not prevent a run
            return training_ir()
        return kept_training_ir(folder / "compiled")
    try:
        return local_path(named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VqiError(
            f"{COMPILED}: {named} cannot be read ({reason(error)}): name the file that 'vqi compile' wrote"
        ) from error


def kept_training_ir(folder: Path) -> str:
    """The training pipeline as PipelineSpec YAML, kept in ``folder`` under the digest of all its inputs."""
    sources = modules_of([__name__, "vqi_pipelines.training"])
    path = folder / f"{digest_json([digest_of(sources), packages_digest()])}.yaml"
    with suppress(OSError, UnicodeDecodeError):  # missing or damaged: compiled again
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        if digest == f"# {sha256_bytes(text.encode())}":
            return text
    text = training_ir()
    with suppress(OSError):  # for example a full disk: compiled again the next time
        write_text(path, f"# {sha256_bytes(text.encode())}\n{text}")
    return text


def training_ir() -> str:
    """The training pipeline as PipelineSpec YAML, compiled."""
    from vqi_pipelines.training import training

    return ir_of(training)


def ir_of(pipeline: object) -> str:
    """A kfp pipeline as PipelineSpec YAML."""
    from kfp.compiler import Compiler

    with scratch_folder() as folder:
        path = folder / "pipeline.yaml"
        Compiler().compile(pipeline, str(path))
        return path.read_text(encoding="utf-8")
