"""The artifact ``features`` of a category: the maps of its images and the record of what made them. Imports torch."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vqi import __version__
from vqi.artifacts.features import Calibration, FeatureMaps, Features, FeaturesRecord
from vqi.artifacts.grouped import Groups
from vqi.artifacts.images import Images
from vqi.config import FeatureExtract
from vqi.network.backbones import Backbone
from vqi.network.engines import choose
from vqi.network.extraction import Extractor


def extract_splits(
    images: Images, backbone: Backbone, settings: FeatureExtract, parent: Backbone | None = None
) -> Features:
    """Features of the train and of the test images; of both backbones where one was fine-tuned from ``parent``.

    Of the images for calibration, where there are some, those are taken that show no part of the training images.

    Args:
        images: Those of the category.
        backbone: As it was loaded, with the record of what made it.
        settings: Of the step.
        parent: The backbone before it was fine-tuned.

    Raises:
        VqiError: Unknown layer, a layer that gives no map, an engine that is not installed.
    """
    if backbone.made is None:
        raise ValueError(f"backbone '{backbone.record.name}' was not loaded from a file: nothing says what made it")
    runtime = choose(settings.engine, settings.precision)
    train, test, apart = images.rows("train"), images.rows("test"), images.unseen()

    def maps_of(one: Backbone, more: list[int]) -> tuple[FeatureMaps, FeatureMaps, FeatureMaps]:
        extractor = Extractor(one, settings.layers, settings.pool, settings.batch_size, runtime)
        maps = extractor.extract(images.images, train + test + more, progress="batches")
        ends = len(train), len(train) + len(test)
        return maps.rows(slice(ends[0])), maps.rows(slice(*ends)), maps.rows(slice(ends[1], None))

    record = FeaturesRecord(
        version=__version__,
        settings=settings,
        images=images.record,
        backbone=backbone.record,
        finetune=backbone.made,
        runtime=runtime,
    )
    of_train, of_test, of_apart = maps_of(backbone, apart)
    return Features(
        of_train,
        _numbers(images, train, "group"),
        of_test,
        record,
        None if parent is None else maps_of(parent, [])[:2],
        Calibration(of_apart, _numbers(images, apart, "part"), _numbers(images, apart, "group")) if apart else None,
        _numbers(images, train, "part"),
    )


def _numbers(images: Images, rows: list[int], of: Literal["part", "group"]) -> Groups:
    return np.array([getattr(images.index[row], of) for row in rows], dtype=np.int64)
