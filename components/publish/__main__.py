"""Runs the step ``publish``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import write_text
from vqi.config import Publish
from vqi.models.registry import publish
from vqi.outcomes import outcome_kept
from vqi.store.opening import open_store, store_uri
from vqi_components import step


class Arguments(Publish):
    """Write a versioned model package and the category's row of the table to the object store ($VQI_STORE)."""

    backbone: Path = Field(description="input: safetensors file written by ssl_finetune")
    detector: Path = Field(description="input: safetensors file written by pca_fit")
    metrics: Path = Field(description="input: JSON file written by evaluate")
    report: Path = Field(description="input: HTML file written by evaluate")
    decision: Path = Field(description="output: file that receives the decision as JSON")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    store = open_store(store_uri(os.environ))
    with outcome_kept(store, arguments.run, arguments.dataset, arguments.summary):
        decision = publish(store, arguments.backbone, arguments.detector, arguments.metrics, arguments.report)
        write_text(arguments.decision, decision.model_dump_json())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("publish", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
