"""A pipeline of three steps, compiled and run on this machine: python tiny.py SOURCE RUNS. Prints the counts."""

import sys
from pathlib import Path

from kfp import dsl
from vqi_components.count_images.component import count_images

from vqi_components.dataset_download.component import dataset_download
from vqi_components.preprocess.component import preprocess
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir
from vqi_pipelines.local import run_pipeline
from vqi_pipelines.local.progress import PlainLines


@dsl.pipeline
def tiny(source: str, split: str = "train"):
    download = dataset_download(source=source)
    with dsl.ParallelFor(download.outputs["categories"]) as category:
        prepared = preprocess(dataset=download.outputs["dataset"], category=category, image_size="32")
        count_images(images=prepared.outputs["images"], split=split)


if __name__ == "__main__":
    parameters = {"source": sys.argv[1], "split": "train"}
    run = run_pipeline(
        read_ir(ir_of(tiny)), parameters, runs_dir=Path(sys.argv[2]), parallelism=1, use_cache=True, artifacts=None,
        environment={}, observer=PlainLines(sys.stdout),
    )  # fmt: skip
    sys.exit(run.exit_code)
