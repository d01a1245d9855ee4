"""Made-up records and artifacts, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vqi import __version__
from vqi.artifacts.backbone import BackboneRecord, FinetuneRecord, Runtime
from vqi.artifacts.data_report import DataReport, Labels, SplitLabels
from vqi.artifacts.detector import DetectorArtifact, DetectorRecord
from vqi.artifacts.features import KIND, FeatureMaps, Features, FeaturesRecord
from vqi.artifacts.images import ImagesRecord
from vqi.artifacts.metrics import Metrics, OperatingPoint
from vqi.artifacts.tensors import save_tensors
from vqi.artifacts.threshold import Threshold
from vqi.config import FeatureExtract, PcaFit, SslFinetune
from vqi.detectors.calibration import conformal_threshold
from vqi.metrics import operating_point as at_operating_point

RUNTIME = Runtime(engine="eager", precision="fp32", reason="a test")


def images_record(**changes: Any) -> ImagesRecord:
    values = {
        "version": __version__, "category": "part", "dataset": "parts@1", "shard": "0" * 64, "image_size": 8,
        "max_bad_fraction": 0.01, "max_pixels": 10_000, "values": None,
    }  # fmt: skip
    return ImagesRecord(**values | changes)


def backbone_record(**changes: Any) -> BackboneRecord:
    values = {
        "name": "timm/x", "mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2), "weights": "random, seed 0",
        "weights_sha256": "", "licence": "",
    }  # fmt: skip
    return BackboneRecord(**values | changes)


def finetune_record(**changes: Any) -> FinetuneRecord:
    values = {
        "version": __version__, "settings": SslFinetune(), "images": "0" * 64, "parent": "random, seed 0",
        "best_epoch": 0, "held_out": (), "runtime": None,
    }  # fmt: skip
    return FinetuneRecord(**values | changes)


def features_record(**changes: Any) -> FeaturesRecord:
    values = {
        "version": __version__, "settings": FeatureExtract(layer="x"), "images": images_record(),
        "backbone": backbone_record(), "finetune": finetune_record(), "runtime": RUNTIME,
    }  # fmt: skip
    return FeaturesRecord(**values | changes)


def maps_of(vectors: np.ndarray) -> FeatureMaps:
    """Vectors (N, D) as maps of one layer with one cell, (N, D, 1, 1)."""
    return FeatureMaps((np.asarray(vectors, np.float32)[:, :, None, None],))


def threshold(value: float = 1.0, n: int = 3) -> Threshold:
    return conformal_threshold(np.full(n, value), 0.05)


def operating_point(of: Threshold) -> OperatingPoint:
    """Of no test images."""
    return at_operating_point(of, np.zeros(0, np.int64), np.zeros(0), [])


def detector_artifact(number: float = 1.0, **changes: Any) -> DetectorArtifact:
    """A PCA of vectors (4,); ``number`` makes it different."""
    made = features_record(**changes)
    record = DetectorRecord(
        version=__version__, settings=PcaFit(kind="pca"), shapes=((4, 1, 1),), operating_points=(threshold(),),
        map_limit=1.0, facts={}, features=made,
    )  # fmt: skip
    arrays = {
        "channel_mean": np.zeros(4, np.float32),
        "channel_spread": np.ones(4, np.float32),
        "mean": np.full(4, number, np.float32),
        "components": np.eye(2, 4, dtype=np.float32),
        "explained_variance": np.ones(2, np.float32),
    }
    return DetectorArtifact(arrays, np.ones(3), np.arange(3), record)


def metrics(**changes: Any) -> Metrics:
    """Nothing was measured, except for what ``changes`` says."""
    measured = {name: None for name, field in Metrics.model_fields.items() if field.is_required()}
    known = {
        "category": "part", "test_images": 0, "test_good": 0, "test_anomalous": 0, "train_images": 30, "tp": 0, "fp": 0,
        "tn": 0, "fn": 0, "threshold": 1.0, "threshold_source": "a test", "target_fpr": 0.05, "guaranteed_fpr": 0.05,
        "good_images_needed": 19, "detector": "pca",
        "operating_points": (operating_point(threshold()),),
    }  # fmt: skip
    return Metrics(**measured | known | changes)


def data_report(**changes: Any) -> DataReport:
    """Of nothing, except for what ``changes`` says."""
    none = Labels(normal=0, anomalous=0)
    values: dict[str, Any] = {
        "category": "part", "image_size": 8, "images": 0, "masks": 0, "counts": {"train": {}, "test": {}},
        "labels": SplitLabels(train=none, calibration=none, test=none),
        "sizes": {}, "modes": {}, "unreadable": (), "notes": (),
        "duplicates_within_splits": (), "duplicates_across_splits": (), "near_duplicates_within_splits": (),
        "near_duplicates_across_splits": (), "looks": {}, "separation": {}, "target_fpr": 0.05, "train_groups": 0,
        "calibration_groups": 0, "grouped_by_folder": False,
        "smallest_false_alarm_rate": 1.0, "image_warnings": (), "warnings": (), "mask_problems": (), "licence": None,
    }  # fmt: skip
    return DataReport(**values | changes)


def save_features(path: Path, features: Features) -> None:
    """Write ``features.safetensors``, whether or not its arrays fit together."""
    named = {"train": features.train, "test": features.test}
    arrays = {"train_parts": features.train_parts, "train_groups": features.groups}
    if features.parent is not None:
        named |= {"parent_train": features.parent[0], "parent_test": features.parent[1]}
    if (apart := features.calibration) is not None:
        named["calibration"] = apart.maps
        arrays |= {"calibration_parts": apart.parts, "calibration_groups": apart.groups}
    layers = {f"{name}.{place}": one for name, maps in named.items() for place, one in enumerate(maps.layers)}
    save_tensors(path, KIND, {**arrays, **layers}, features.record.model_dump(mode="json"))
