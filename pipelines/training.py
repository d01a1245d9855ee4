"""The training pipeline: the only place where the graph of steps is written; it reads in the order of the data path."""

import re
from typing import NamedTuple

from kfp import dsl, kubernetes

from vqi import config
from vqi.store.opening import VARIABLES as STORE_VARIABLES
from vqi_components.dataset_download.component import dataset_download
from vqi_components.evaluate.component import evaluate
from vqi_components.feature_extract.component import feature_extract
from vqi_components.pca_fit.component import pca_fit
from vqi_components.preprocess.component import preprocess
from vqi_components.publish.component import publish
from vqi_components.ssl_finetune.component import ssl_finetune
from vqi_components.summarize.component import summarize
from vqi_pipelines.pod_annotations import BESIDE, DOWNLOADS, LESS_MEMORY, OFFLINE_IF, PAGE_FOLDER, STORE_ACCESS

_DATA = config.defaults(config.DatasetDownload)
_IMAGES = config.defaults(config.Preprocess)
_BACKBONE = config.defaults(config.SslFinetune)
_FEATURES = config.defaults(config.FeatureExtract)
_DETECTOR = config.defaults(config.PcaFit)
_EVALUATION = config.defaults(config.Evaluate)
_PUBLISH = config.defaults(config.Publish)

# What a step that reads or writes lasting assets receives about their store; on a cluster from a Secret of this name.
STORE_SECRET = "vqi-store"  # noqa: S105 - its name
# What the step that reads a source also receives: consent to a licence, and tokens for the servers of sources.
SOURCES_VARIABLES = ("USER_CONSENT", "VQI_HTTP_TOKENS")

# The sources that are read without a network: the embedded dataset, and paths. A table may name any address.
_SOURCES_HERE = "elpv|folder:.*|archive:.*"
_NAMED_WEIGHTS = "(?!pretrained$).*"  # a path, or none
_TABLE = "csv:.*"

# The key in the store under which the steps of a run leave what the last one reads; filled in by each backend.
_RUN = dsl.PIPELINE_JOB_ID_PLACEHOLDER

# What a step's container requests, so that a node has it, and its limits: (cpu, memory). The chart's values are made
# from these.
_SMALL = (("100m", "256Mi"), ("1", "2Gi"))
_PHOTOGRAPHS = (("250m", "1Gi"), ("2", "4Gi"))
_FEATURES_AT_ONCE = (("250m", "1Gi"), ("4", "8Gi"))
_NETWORK = (("500m", "2Gi"), ("8", "8Gi"))


class Results(NamedTuple):
    """What a run gives."""

    table: dsl.Artifact
    decisions: str  # what became of each category, on one line


def _sized(task: dsl.PipelineTask, size: tuple[tuple[str, str], tuple[str, str]], less_memory: str = "") -> None:
    (cpu, memory), (most_cpu, most_memory) = size
    task.set_cpu_request(cpu).set_cpu_limit(most_cpu).set_memory_request(memory).set_memory_limit(most_memory)
    if less_memory:
        kubernetes.add_pod_annotation(task, LESS_MEMORY, less_memory)


def _told(task: dsl.PipelineTask, variables: tuple[str, ...]) -> None:
    kubernetes.use_secret_as_env(task, STORE_SECRET, {name: name for name in variables}, optional=True)


def _reads_store(task: dsl.PipelineTask) -> None:
    _told(task, STORE_VARIABLES)


def _writes_store(task: dsl.PipelineTask) -> None:
    _reads_store(task)
    kubernetes.add_pod_annotation(task, STORE_ACCESS, "write")


def _offline_if(task: dsl.PipelineTask, **patterns: str) -> None:
    for name, pattern in patterns.items():
        kubernetes.add_pod_annotation(task, f"{OFFLINE_IF}{name}", pattern)


@dsl.pipeline(name="training", description="Learn what good parts look like, one model per category, and evaluate it.")
def training(
    source: str = _DATA.source,
    categories: list = _DATA.only_categories,  # type: ignore[type-arg]
    url: str = _DATA.url,
    sha256: str = _DATA.sha256,
    accept_license: bool = _DATA.accept_license,
    limit_per_class: int = _DATA.limit_per_class,
    train_fraction: float = _DATA.train_fraction,
    hold_out_near_duplicates: bool = _DATA.hold_out_near_duplicates,
    split_seed: int = _DATA.split_seed,
    with_verdicts: bool = _DATA.with_verdicts,
    retrain_if: str = _DATA.retrain_if,
    image_size: str = _IMAGES.image_size,
    max_bad_fraction: float = _IMAGES.max_bad_fraction,
    max_pixels: int = _IMAGES.max_pixels,
    group_by: str = _IMAGES.group_by,
    backbone: str = _BACKBONE.backbone_name,
    weights: str = _BACKBONE.weights,
    method: str = _BACKBONE.method,
    epochs: int = _BACKBONE.epochs,
    finetune: dict = _BACKBONE.finetune,  # type: ignore[type-arg]
    layer: str = _FEATURES.layer,
    pool: int = _FEATURES.pool,
    batch_size: int = _FEATURES.batch_size,
    engine: str = _FEATURES.engine,
    precision: str = _FEATURES.precision,
    detector: str = _DETECTOR.kind,
    variance: float = _DETECTOR.variance,
    scaling: str = _DETECTOR.scaling,
    channels: int = _DETECTOR.channels,
    coordinates: int = _DETECTOR.coordinates,
    shrinkage: float = _DETECTOR.shrinkage,
    bank: int = _DETECTOR.bank,
    normalise: str = _DETECTOR.normalise,
    aggregate: float = _DETECTOR.aggregate,
    target_fpr: float = _DETECTOR.target_fpr,
    folds: int = _DETECTOR.folds,
    seed: int = _DETECTOR.seed,
    bootstrap: int = _EVALUATION.bootstrap,
    examples: int = _EVALUATION.examples,
    gate: str = _PUBLISH.gate,
    max_regression: float = _PUBLISH.max_regression,
    min_auroc: float = _PUBLISH.min_auroc,
    max_megabytes: float = _PUBLISH.max_megabytes,
    max_milliseconds: float = _PUBLISH.max_milliseconds,
) -> Results:
    download = dataset_download(
        source=source,
        only_categories=categories,
        url=url,
        sha256=sha256,
        accept_license=accept_license,
        limit_per_class=limit_per_class,
        train_fraction=train_fraction,
        hold_out_near_duplicates=hold_out_near_duplicates,
        split_seed=split_seed,
        with_verdicts=with_verdicts,
        # the parameters of the other steps: a category whose model they would make again is not trained
        image_size=image_size,
        max_bad_fraction=max_bad_fraction,
        max_pixels=max_pixels,
        target_fpr=target_fpr,
        group_by=group_by,
        method=method,
        backbone_name=backbone,
        weights=weights,
        epochs=epochs,
        layer=layer,
        finetune=finetune,
        seed=seed,
        pool=pool,
        batch_size=batch_size,
        engine=engine,
        precision=precision,
        kind=detector,
        variance=variance,
        scaling=scaling,
        channels=channels,
        coordinates=coordinates,
        shrinkage=shrinkage,
        bank=bank,
        normalise=normalise,
        aggregate=aggregate,
        folds=folds,
        bootstrap=bootstrap,
        examples=examples,
        gate=gate,
        max_regression=max_regression,
        min_auroc=min_auroc,
        max_megabytes=max_megabytes,
        max_milliseconds=max_milliseconds,
        retrain_if=retrain_if,
        run=_RUN,
    )
    download.set_caching_options(False)  # the contents of a source can change; a complete dataset is not written again
    _writes_store(download)
    _told(download, SOURCES_VARIABLES)
    kubernetes.add_pod_annotation(download, DOWNLOADS, "kept")
    kubernetes.add_pod_annotation(download, f"{BESIDE}source", _TABLE)
    _offline_if(download, source=_SOURCES_HERE, url=".+")
    _sized(download, _PHOTOGRAPHS)

    with dsl.ParallelFor(download.outputs["categories"], name="category") as category:
        prepared = preprocess(
            dataset=download.outputs["dataset"],
            category=category,
            image_size=image_size,
            max_bad_fraction=max_bad_fraction,
            max_pixels=max_pixels,
            target_fpr=target_fpr,
            group_by=group_by,
        )
        _reads_store(prepared)
        kubernetes.add_pod_annotation(prepared, PAGE_FOLDER, "data_page_folder")
        _sized(prepared, _PHOTOGRAPHS, "lower image_size, or shrink the photographs")
        tuned = ssl_finetune(
            images=prepared.outputs["images"],
            method=method,
            backbone_name=backbone,
            weights=weights,
            epochs=epochs,
            layer=layer,
            finetune=finetune,
            seed=seed,
        )
        _writes_store(tuned)
        _offline_if(tuned, weights=_NAMED_WEIGHTS, backbone_name=re.escape(_BACKBONE.backbone_name))
        _sized(tuned, _NETWORK, "lower batch_size in finetune, or image_size")
        extracted = feature_extract(
            images=prepared.outputs["images"],
            backbone=tuned.outputs["backbone"],
            parent=tuned.outputs["parent"],
            layer=layer,
            pool=pool,
            batch_size=batch_size,
            engine=engine,
            precision=precision,
        )
        _sized(extracted, _NETWORK, "lower batch_size or image_size, or raise pool")
        fitted = pca_fit(
            features=extracted.outputs["features"],
            kind=detector,
            variance=variance,
            scaling=scaling,
            channels=channels,
            coordinates=coordinates,
            shrinkage=shrinkage,
            bank=bank,
            normalise=normalise,
            aggregate=aggregate,
            target_fpr=target_fpr,
            folds=folds,
            seed=seed,
        )
        _sized(fitted, _FEATURES_AT_ONCE, "lower image_size, or raise pool")
        evaluated = evaluate(
            images=prepared.outputs["images"],
            data_report=prepared.outputs["data_report"],
            features=extracted.outputs["features"],
            detector=fitted.outputs["detector"],
            training_log=tuned.outputs["training_log"],
            bootstrap=bootstrap,
            examples=examples,
            seed=seed,
        )
        _sized(evaluated, _FEATURES_AT_ONCE, "lower image_size, or raise pool")
        published = publish(
            backbone=tuned.outputs["backbone"],
            detector=fitted.outputs["detector"],
            metrics=evaluated.outputs["metrics"],
            report=evaluated.outputs["report"],
            gate=gate,
            max_regression=max_regression,
            min_auroc=min_auroc,
            max_megabytes=max_megabytes,
            max_milliseconds=max_milliseconds,
            recipe=download.outputs["recipe"],
            run=_RUN,
            dataset=download.outputs["dataset"],
            summary=evaluated.outputs["summary"],
        )
        # The store may have been emptied; an equal model is not written again. No cached step is told the run.
        published.set_caching_options(False)
        _writes_store(published)
        kubernetes.add_pod_annotation(published, PAGE_FOLDER, "decided_report_folder")
        _sized(published, _NETWORK)

    # The fan-in goes through the store: no argument grows with the categories, and the others have their table when one
    # of them failed.
    summary = summarize(run=_RUN, dataset=download.outputs["dataset"]).after(published).ignore_upstream_failure()
    summary.set_caching_options(False)  # what the store holds changes outside the pipeline
    _writes_store(summary)
    _sized(summary, _SMALL)
    return Results(table=summary.outputs["table"], decisions=summary.outputs["decisions"])
