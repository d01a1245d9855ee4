"""anomalib's detectors with vqi's network and weights: fit, score, and a file for OpenVINO. For the peers' interpreter.

anomalib's defaults stay, but for what the network asks for (the names of the layers, the pixels' mean). Left out is
what would take time and has no part in the comparison: validation on test images, pictures, metrics of pixels.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from anomalib.data import Folder
from anomalib.deploy import ExportType
from anomalib.engine import Engine
from anomalib.models import Dfm, Padim, Patchcore
from anomalib.pre_processing import PreProcessor
from lightning.pytorch import Callback
from sklearn.metrics import roc_auc_score
from torchvision.transforms.v2 import Compose, Normalize, Resize

from tests.benchmarks.peers import backbone
from tests.benchmarks.peers.outcome import Outcome

PHOTOGRAPH = (300, 300)  # height and width of ELPV's
# The last layers of a stride, as the defaults for ResNet are: of stride 16 for DFM (layer3), of 4, 8 and 16 for PaDiM
# (layer1 to layer3), of whose channels 100 are drawn as for ResNet-18. For PatchCore (layer2 and layer3, strides 8 and
# 16) it is one step coarser, 16 and 32: with 10 % of stride 8's vectors the selection would take hours.
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dfm": (Dfm, {"layer": "blocks.4"}),
    "padim": (Padim, {"layers": ["blocks.1", "blocks.2", "blocks.4"], "n_features": 100}),
    "patchcore": (Patchcore, {"layers": ["blocks.4", "blocks.6"], "coreset_sampling_ratio": 0.1}),
}


class Scores(Callback):  # type: ignore[misc]
    """The scores of the test images, and their labels."""

    def __init__(self) -> None:
        self.scores: list[float] = []
        self.labels: list[int] = []

    def on_test_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, *rest: Any) -> None:
        self.scores += batch.pred_score.flatten().tolist()
        self.labels += batch.gt_label.int().tolist()


def main(name: str, folder: Path, weights: Path, size: int, output: Path, exported: Path | None) -> None:
    torch.manual_seed(0)
    outcome, scores = Outcome(), Scores()
    kind, settings = MODELS[name]
    transform = Compose([Resize((size, size), antialias=True), Normalize(backbone.MEAN, backbone.STD)])
    model = kind(
        backbone=backbone.NAME,
        pre_trained=False,
        pre_processor=PreProcessor(transform),
        evaluator=False,  # its AUROC takes scores in [0, 1] alone, to which the validation would scale them
        post_processor=False,
        visualizer=False,
        **settings,
    )
    backbone.load(model.model.feature_extractor.feature_extractor, weights)
    photographs = Folder(
        name="photographs",
        root=folder,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir="test/defective",
        val_split_mode="same_as_test",
        num_workers=0,
    )
    with tempfile.TemporaryDirectory() as results:
        engine = Engine(
            accelerator="cpu",
            devices=1,
            callbacks=[scores],
            default_root_dir=results,
            limit_val_batches=0,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with outcome.phase("fit"):
            engine.fit(model, datamodule=photographs)
        with outcome.phase("score"):
            engine.test(model, datamodule=photographs, verbose=False)
        outcome.figures["auroc"] = float(roc_auc_score(scores.labels, scores.scores))
        outcome.write(output)
        if exported is not None:
            # for one photograph at a time, and for its size, from which the file resizes it
            engine.export(
                model, ExportType.OPENVINO, export_root=exported, input_size=PHOTOGRAPH,
                onnx_kwargs={"dynamic_axes": None, "opset_version": 18},
            )  # fmt: skip


if __name__ == "__main__":
    main(
        sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]),
        Path(sys.argv[6]) if len(sys.argv) > 6 else None,
    )  # fmt: skip
