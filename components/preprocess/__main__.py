"""Runs the step ``preprocess``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.data_report import write_data_report
from vqi.artifacts.files import write_text
from vqi.artifacts.images import load_images
from vqi.config import Preprocess
from vqi.datasets.shards import open_shard
from vqi.pages.data_page import Pictures, render
from vqi.pages.folder import write_folder
from vqi.pages.of_run import with_run
from vqi.photographs.decoding import only_max_pixels
from vqi.preparation.images import prepare
from vqi.system.scratch import scratch_folder
from vqi_components import executor_output, step
from vqi_components.environment import DATA_PAGE, RUN_BEFORE, page_links


class Arguments(Preprocess):
    """Decode, check and resize the images of a category into one memory-mappable file."""

    images: Path = Field(description="output: folder with images.safetensors and index.csv")
    data_report: Path = Field(description="output: JSON file, counts and problems of the data")
    data_page: Path = Field(description="output: the same as an HTML page, with pictures of the problems")
    data_page_folder: Path = Field(description="output: folder with that page, and its pictures as files beside it")
    executor_input: str = Field(default="", description=step.EXECUTOR_INPUT)


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    with scratch_folder() as folder, only_max_pixels():
        shard = open_shard(arguments.dataset, arguments.category, folder)
        report = prepare(
            shard,
            arguments.images,
            category=arguments.category,
            image_size=arguments.image_size,
            max_bad_fraction=arguments.max_bad_fraction,
            max_pixels=arguments.max_pixels,
            dataset=arguments.dataset,
            target_fpr=arguments.target_fpr,
            group_by=arguments.group_by,
        )
        page = render(report, Pictures(load_images(arguments.images), shard.path, arguments.max_pixels))
    # the run before is another one where a later run takes this page from this one
    page = with_run(page, links=page_links(without=[DATA_PAGE, RUN_BEFORE]))
    write_data_report(arguments.data_report, report)
    write_text(arguments.data_page, page)
    write_folder(arguments.data_page_folder, page)
    executor_output.write_metadata(arguments.executor_input, {"data_page": {"category": arguments.category}})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("preprocess", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
