"""The artifact ``features`` of a category: the maps of its images and the record of what made them. Imports torch."""

from __future__ import annotations

import numpy as np

from vqi import __version__
from vqi.artifacts.features import FeatureMaps, Features, FeaturesRecord
from vqi.artifacts.images import Images
from vqi.config import FeatureExtract
from vqi.network.backbones import Backbone
from vqi.network.extraction import Extractor
from vqi.network.runtime import choose


def extract_splits(
    images: Images, backbone: Backbone, settings: FeatureExtract, parent: Backbone | None = None
) -> Features:
    """Features of the train and of the test images; of both backbones where one was fine-tuned from ``parent``.

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
    train, test = images.rows("train"), images.rows("test")

    def maps_of(one: Backbone) -> tuple[FeatureMaps, FeatureMaps]:
        extractor = Extractor(one, settings.layers, settings.pool, settings.batch_size, runtime)
        maps = extractor.extract(images.images, train + test, progress="batches")
        return maps.rows(slice(len(train))), maps.rows(slice(len(train), None))

    record = FeaturesRecord(
        version=__version__,
        settings=settings,
        images=images.record,
        backbone=backbone.record,
        finetune=backbone.made,
        runtime=runtime,
    )
    groups = np.array([images.index[row].group for row in train], dtype=np.int64)
    of_train, of_test = maps_of(backbone)
    return Features(of_train, groups, of_test, record, None if parent is None else maps_of(parent))
