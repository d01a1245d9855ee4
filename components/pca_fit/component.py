"""Declaration of the step ``pca_fit``."""

from kfp import dsl

from vqi.config import PcaFit, defaults
from vqi_components.declare import LIGHT_IMAGE, step

_DEFAULT = defaults(PcaFit)


@dsl.container_component
def pca_fit(
    features: dsl.Input[dsl.Dataset],
    detector: dsl.Output[dsl.Model],
    kind: str = _DEFAULT.kind,
    variance: float = _DEFAULT.variance,
    scaling: str = _DEFAULT.scaling,
    channels: int = _DEFAULT.channels,
    coordinates: int = _DEFAULT.coordinates,
    shrinkage: float = _DEFAULT.shrinkage,
    bank: int = _DEFAULT.bank,
    normalise: str = _DEFAULT.normalise,
    aggregate: float = _DEFAULT.aggregate,
    target_fpr: float = _DEFAULT.target_fpr,
    folds: int = _DEFAULT.folds,
    seed: int = _DEFAULT.seed,
):
    return step(
        "pca_fit",
        LIGHT_IMAGE,
        features=features.path,
        kind=kind,
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
        detector=detector.path,
    )
