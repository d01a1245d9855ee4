"""The artifact ``features`` of a category: the maps of its images and the record of what made them. Imports torch."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vqi import __version__
from vqi.artifacts.backbone import Runtime
from vqi.artifacts.features import FeatureMaps, Features, FeaturesRecord, Place, in_memory, new_features
from vqi.artifacts.grouped import Groups
from vqi.artifacts.images import Images
from vqi.config import FeatureExtract
from vqi.network.backbones import Backbone
from vqi.network.engines import choose
from vqi.network.extraction import Extractor


def extract_splits(
    images: Images,
    backbone: Backbone,
    settings: FeatureExtract,
    parent: Backbone | None = None,
    place: Place = in_memory,
) -> Features:
    """Features of the train and of the test images; of both backbones where one was fine-tuned from ``parent``.

    Of the images for calibration, where there are some, those are taken that show no part of the training images.

    Args:
        images: Those of the category.
        backbone: As it was loaded, with the record of what made it.
        settings: Of the step.
        parent: The backbone before it was fine-tuned.
        place: Where the arrays are.

    Raises:
        VqiError: Unknown layer, a layer that gives no map, an engine that is not installed.
    """
    if backbone.made is None:
        raise ValueError(f"backbone '{backbone.record.name}' was not loaded from a file: nothing says what made it")
    runtime = choose(settings.engine, settings.precision)
    train, test, apart = images.rows("train"), images.rows("test"), images.unseen()

    record = FeaturesRecord(
        version=__version__,
        settings=settings,
        images=images.record,
        backbone=backbone.record,
        finetune=backbone.made,
        runtime=runtime,
    )
    counts = {"train": len(train), "test": len(test), **({"calibration": len(apart)} if apart else {})}
    extractor, size = _extractor(backbone, settings, runtime), images.record.image_size
    features = new_features(place, record, extractor.shapes(size), counts, parent=parent is not None)
    own: list[FeatureMaps] = [features.train, features.test]
    if features.calibration is not None:
        own.append(features.calibration.maps)
        features.calibration.parts[...] = _numbers(images, apart, "part")
        features.calibration.groups[...] = _numbers(images, apart, "group")
    features.train_parts[...] = _numbers(images, train, "part")
    features.groups[...] = _numbers(images, train, "group")
    extractor.extract(images.images, train + test + apart, progress="batches", into=own)
    if parent is not None and features.parent is not None:
        before = _extractor(parent, settings, runtime)
        before.extract(images.images, train + test, progress="batches", into=features.parent)
    return features


def _extractor(backbone: Backbone, settings: FeatureExtract, runtime: Runtime) -> Extractor:
    return Extractor(backbone, settings.layers, settings.pool, settings.batch_size, runtime)


def _numbers(images: Images, rows: list[int], of: Literal["part", "group"]) -> Groups:
    return np.array([getattr(images.index[row], of) for row in rows], dtype=np.int64)
