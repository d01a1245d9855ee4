"""The reference kit's algorithm, written plainly: the features of one layer, PCA, the error of the reconstruction.

As the kit has it: the whole network in eager fp32 with a hook, batches of 32, average pooling by 2, scikit-learn's PCA
that keeps 99 % of the variance, the sum of the squared differences. Its layer of ResNet-50, ``layer3``, is the last one
of stride 16; so is ``blocks.4`` here. Run with the peers' interpreter.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.benchmarks.peers import photographs
from tests.benchmarks.peers.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

BATCH, LAYER, POOL, VARIANCE = 32, "blocks.4", 2, 0.99


def main(folder: Path, weights: Path, size: int, output: Path) -> None:
    outcome = Outcome()
    features_of = network(weights)
    with outcome.phase("fit"):
        pca = fitted(features_of(photographs.train(folder), size))
    files, labels = photographs.test(folder)
    scores: list[float] = []
    with outcome.phase("score"):
        for begin in range(0, len(files), BATCH):
            scores += reconstruction_error(pca, features_of(files[begin : begin + BATCH], size)).tolist()
    from sklearn.metrics import roc_auc_score

    outcome.figures = {"auroc": float(roc_auc_score(labels, scores)), "components": float(pca.n_components_)}
    outcome.write(output)


def fitted(features: np.ndarray) -> Any:
    """scikit-learn's PCA of features (N, D)."""
    from sklearn.decomposition import PCA

    return PCA(VARIANCE).fit(features)


def reconstruction_error(pca: Any, features: np.ndarray) -> np.ndarray:
    """(N, D) -> (N,): how far they are from their reconstruction."""
    again = pca.inverse_transform(pca.transform(features))
    errors: np.ndarray = np.square(features - again).sum(axis=1)
    return errors


def network(weights: Path) -> Callable[[Sequence[Path], int], np.ndarray]:
    """What reads files and computes their features."""
    import timm
    import torch

    from tests.benchmarks.peers import backbone

    model = timm.create_model(backbone.NAME, pretrained=False).eval()
    backbone.load(model, weights)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # it takes it
    kept: list[torch.Tensor] = []
    model.get_submodule(LAYER).register_forward_hook(lambda module, inputs, output: kept.append(output))
    read = _reader()

    def features_of(files: Sequence[Path], size: int) -> np.ndarray:
        found = []
        for begin in range(0, len(files), BATCH):
            batch = torch.stack([read(one, size) for one in files[begin : begin + BATCH]])
            with torch.no_grad():
                model(batch.contiguous(memory_format=torch.channels_last))
                found.append(torch.nn.functional.avg_pool2d(kept.pop(), POOL).flatten(1))
        features: np.ndarray = torch.cat(found).numpy()
        return features

    return features_of


def _reader() -> Callable[[Path, int], torch.Tensor]:
    from PIL import Image
    from torchvision import transforms

    from tests.benchmarks.peers import backbone

    def read(file: Path, size: int) -> torch.Tensor:
        steps = [
            transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(backbone.MEAN, backbone.STD)
        ]  # fmt: skip
        with Image.open(file) as image:
            pixels: torch.Tensor = transforms.Compose(steps)(image.convert("RGB"))
        return pixels

    return read


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
