"""Runs the step ``publish``."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import read_text, write_json, write_text
from vqi.config import Publish
from vqi.mirrors.feeding import feed
from vqi.models.deciding import publish_and_decide
from vqi.models.earlier import beside_earlier
from vqi.models.field import fields_of
from vqi.outcomes import outcome_kept
from vqi.pages.decision_card import with_decision
from vqi.pages.field import with_field
from vqi.pages.folder import write_folder
from vqi.store.opening import open_store, store_uri
from vqi_components import executor_output, step
from vqi_components.environment import REPORT, page_links


class Arguments(Publish):
    """Write a versioned model package and the category's row of the table to the object store ($VQI_STORE), and decide
    whether the model is used from now on."""

    backbone: Path = Field(description="input: safetensors file written by ssl_finetune")
    detector: Path = Field(description="input: safetensors file written by pca_fit")
    metrics: Path = Field(description="input: JSON file written by evaluate")
    report: Path = Field(description="input: HTML file written by evaluate")
    decision: Path = Field(description="output: file that receives the decision as JSON")
    decided_report: Path = Field(description="output: HTML file, the report with the gate's decision at its top")
    decided_report_folder: Path = Field(
        description="output: folder with that report, and its pictures as files beside it"
    )
    gate_metrics: Path = Field(description="output: the decision as a JSON file")
    executor_input: str = Field(default="", description=step.EXECUTOR_INPUT)


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    store = open_store(store_uri(os.environ))
    with outcome_kept(store, arguments.run, arguments.dataset, arguments.summary) as told:
        decision = publish_and_decide(
            store,
            arguments.backbone,
            arguments.detector,
            arguments.metrics,
            arguments.report,
            step.settings_of(arguments, Publish),
        )
        told.decision = decision.text
        # a parameter: Argo keeps all of them in the workflow's own object, which must stay small
        write_text(arguments.decision, decision.model_dump_json(exclude={"drift"}))
        written = read_text(arguments.report, "run evaluate again")
        links = page_links(without=[REPORT])
        report = with_decision(
            written, decision, arguments.run, datetime.now(UTC), beside_earlier(decision.model), links
        )
        report = with_field(report, fields_of(decision.model))
        write_text(arguments.decided_report, report)
        write_folder(arguments.decided_report_folder, report)
        write_json(arguments.gate_metrics, decision.model_dump(mode="json"))
        executor_output.write_metadata(
            arguments.executor_input,
            {"decided_report": {"verdict": decision.verdict}, "gate_metrics": decision.figures},
        )
    feed(decision.model.rpartition("/")[0], os.environ)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("publish", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
