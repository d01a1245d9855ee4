"""Runs the step ``dataset_download``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.files import write_json, write_text
from vqi.config import DatasetDownload
from vqi.datasets.download import download
from vqi.models.retraining import changes_of, leave_unchanged
from vqi.photographs.decoding import only_max_pixels
from vqi.recipe import recipe_of
from vqi.store.opening import open_store, store_uri
from vqi_components import step

CODE = ("vqi", "vqi_components")  # the packages whose code makes a model


class Arguments(DatasetDownload):
    """Fetch a dataset once and keep one packed shard per category in the object store ($VQI_STORE)."""

    catalog: Path = Field(description="output: JSON file, what the dataset holds")
    dataset: Path = Field(description="output: file that receives the dataset's uri")
    categories: Path = Field(description="output: file that receives the JSON list of categories to train")
    recipe: Path = Field(description="output: file that receives the digest of the parameters and the code")
    changes: Path = Field(description="output: JSON file, what changed in each category since its model was made")


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    store, settings = open_store(store_uri(os.environ)), step.settings_of(arguments, DatasetDownload)
    with only_max_pixels():
        handle = download(settings, store)
    recipe = recipe_of(settings, CODE)
    changes = changes_of(store, handle.uri, handle.catalog, recipe, settings.retrain_if)
    leave_unchanged(store, settings.run, handle.address, changes)
    write_json(arguments.catalog, handle.catalog.model_dump(mode="json"))
    write_text(arguments.dataset, handle.address)
    step.write_list(arguments.categories, changes.to_train)
    write_text(arguments.recipe, recipe)
    write_json(arguments.changes, changes.model_dump(mode="json"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("dataset_download", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
