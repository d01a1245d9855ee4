"""Detectors of the anomalous among features: one module a detector, one line here."""

from __future__ import annotations

from vqi.artifacts.files import provenance
from vqi.artifacts.model import Detector, Features
from vqi.config import PcaFit
from vqi.detectors import pca
from vqi.detectors.calibration import conformal_threshold


def fit_detector(features: Features, settings: PcaFit) -> Detector:
    """Fit PCA to the train features and calibrate its threshold on good images only.

    Raises:
        VqiError: Too few good images, or all of them the same.
    """
    model = pca.fit(features.train, settings.variance)
    held_out = pca.held_out_scores(features.train, settings.variance, settings.folds, settings.seed)
    threshold = conformal_threshold(held_out, settings.target_fpr)
    return Detector(
        mean=model.mean,
        components=model.components,
        explained_variance=model.explained_variance,
        calibration_scores=held_out,
        threshold=float(threshold.value),
        shape=features.shape,
        provenance={
            **provenance("pca_fit", settings.model_dump(), {}),
            "threshold_source": "cross-conformal, good training images only",
            "train_images": len(features.train),
            "features": features.provenance,
        },
    )


def subspace_of(detector: Detector) -> pca.Subspace:
    """The PCA model of a detector."""
    return pca.Subspace(detector.mean, detector.components, detector.explained_variance)
