"""What a run time computes of features is what the library computes, for every detector."""

import numpy as np
import pytest
import torch

from tests.vqi.made import detector_artifact
from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.pca import Pca
from vqi.detectors.registry import DETECTORS
from vqi.errors import VqiError
from vqi.export.graphs import Verdict, graph_of

SHAPES = ((6, 8, 12), (5, 4, 6), (3, 2, 3))


def maps(images: int, seed: int) -> FeatureMaps:
    draw = np.random.default_rng(seed)
    scales = np.arange(1, 4)
    return FeatureMaps(
        tuple(
            (scale * draw.standard_normal((images, *shape)) + scale).astype(np.float32)
            for scale, shape in zip(scales, SHAPES, strict=True)
        )
    )


@pytest.mark.parametrize("scaling", ["raw", "standardised", "squashed"])
@pytest.mark.parametrize("kind", DETECTORS)
def test_a_map_is_that_of_the_detector(kind: str, scaling: str) -> None:
    settings = PcaFit(kind=kind, scaling=scaling, variance=0.8, channels=4)
    detector = DETECTORS[kind].fit(maps(12, 0), settings).detector
    new = maps(1, 1)
    expected = detector.anomaly_maps(new)
    with torch.inference_mode():
        found = graph_of(detector, SHAPES)(*(torch.tensor(one) for one in new.layers))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_a_verdict_is_that_of_the_library() -> None:
    artifact = detector_artifact()
    scores = np.array([0.5, 1.0, 1.5])
    artifact = type(artifact)(artifact.arrays, scores, np.array([0, 0, 1]), artifact.record)
    for height in (0.1, 0.9, 1.1, 5.0):
        anomaly_map = (np.arange(1, 13, dtype=np.float32).reshape(1, 3, 4) / 12 * height) ** 2
        score = image_scores(anomaly_map, artifact.record.settings.aggregate)
        found = Verdict(artifact, 12)(torch.tensor(anomaly_map))
        assert found[0].numpy() == pytest.approx(score, rel=1e-6)
        assert bool(found[1]) == (score[0] > artifact.record.threshold.value)
        assert found[2].numpy() == pytest.approx(artifact.p_values(score), rel=1e-6)
        assert found[3].numpy() == pytest.approx(anomaly_map)


def test_what_is_not_a_number_does_not_pass() -> None:
    found = Verdict(detector_artifact(), 4)(torch.full((1, 2, 2), torch.nan))
    assert bool(found[1])


def test_a_detector_without_a_graph_is_refused_by_its_name() -> None:
    class Unknown(Pca):
        pass

    detector = Unknown.__new__(Unknown)
    with pytest.raises(VqiError, match=r"Unknown cannot be exported: expected one of .*PatchPca"):
        graph_of(detector, SHAPES)
