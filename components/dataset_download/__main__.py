"""Runs the step ``dataset_download``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import write_json, write_text
from vqi.config import DatasetDownload
from vqi.datasets.download import download
from vqi.photographs.decoding import only_max_pixels
from vqi.store.opening import open_store, store_uri
from vqi_components import step


class Arguments(DatasetDownload):
    """Fetch a dataset once and keep one packed shard per category in the object store ($VQI_STORE)."""

    catalog: Path = Field(description="output: JSON file, what the dataset holds")
    dataset: Path = Field(description="output: file that receives the dataset's uri")
    categories: Path = Field(description="output: file that receives the JSON list of categories")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    store = open_store(store_uri(os.environ))
    with only_max_pixels():
        handle = download(step.settings_of(arguments, DatasetDownload), store)
    write_json(arguments.catalog, handle.catalog.model_dump(mode="json"))
    write_text(arguments.dataset, handle.address)
    step.write_list(arguments.categories, handle.categories)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("dataset_download", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
