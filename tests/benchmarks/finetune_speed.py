"""Images per second of fine-tuning against a plain loop that does the same work, in one run.

The plain loop is what one would first write: a dataset of PIL images with the augmentations of the paper, one worker,
the whole network in eager fp32, the frozen layers with ``requires_grad`` off. Network, batch size, views per image,
head, loss and optimiser are the same.
"""

from __future__ import annotations

import copy
import random
import resource
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from tests.benchmarks.measure import table
from vqi.config import CutPaste, Finetune, SimSiam, SslFinetune
from vqi.network.backbones import Backbone
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.network.truncation import trainable
from vqi.self_supervised.cutpaste import CutPasteMethod
from vqi.self_supervised.methods import method_class
from vqi.self_supervised.simsiam import SimSiamMethod, negative_cosine
from vqi.self_supervised.training import Trainer

COUNT, SIDE, LAYER, EPOCHS, ROUNDS = 128, 224, "blocks.5", 100, 2
CASES: dict[str, Finetune] = {
    "simsiam": SimSiam(),
    "cutpaste normal": CutPaste(variant="normal", optimizer="sgd", freeze_epochs=0),
    "cutpaste 3way": CutPaste(variant="3way", optimizer="sgd", freeze_epochs=0),
}


def main() -> None:
    torch.multiprocessing.set_sharing_strategy("file_system")
    backbone = build("tf_efficientnet_lite0", "pretrained")
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    rows = []
    for name, options in CASES.items():
        trainer = _trainer(backbone, pixels, name.split()[0], options)
        plain = _plain(backbone, pixels, options)
        ours, theirs, memory = [], [], []
        for number in range(1, ROUNDS + 1):  # in turn, so that a disturbance affects both equally
            ours.append(_costs(trainer.epoch, number, range(COUNT), range(4)))
            theirs.append(_costs(plain))
        for number in range(ROUNDS + 1, ROUNDS + 3):
            ours.append(_costs(trainer.epoch, number, range(COUNT), range(4)))
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        (wall, cpu), (plain_wall, plain_cpu) = (tuple(map(min, zip(*c, strict=True))) for c in (ours, theirs))
        rows.append(
            [name, f"{COUNT / plain_wall:.1f}", f"{COUNT / wall:.1f}", f"{plain_wall / wall:.1f}x",
             f"{1000 * plain_cpu / COUNT:.0f} ms", f"{1000 * cpu / COUNT:.0f} ms", f"{plain_cpu / cpu:.1f}x",
             f"{memory[-1]:.0f} MB", f"{memory[-1] - memory[-2]:+.0f} MB"]
        )  # fmt: skip
    heads = [
        "method", "plain images/s", "vqi images/s", "ratio", "plain processor time/image", "vqi processor time/image",
        "ratio", "peak memory so far", "growth in the last epoch",
    ]  # fmt: skip
    table(f"Fine-tuning of EfficientNet-Lite0's {LAYER}, batches of 32, {choose('auto', 'auto').reason}", heads, rows)


def _costs(epoch: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Seconds, and seconds of processor time with that of ended workers, which other load affects less."""
    begin, used = time.perf_counter(), _processor_seconds()
    epoch(*arguments)
    return time.perf_counter() - begin, _processor_seconds() - used


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _trainer(backbone: Backbone, pixels: np.ndarray, method: str, options: Finetune) -> Trainer:
    settings = SslFinetune(method=method, epochs=EPOCHS, layer=LAYER, finetune=options.model_dump())
    return Trainer(backbone, pixels, settings, method_class(method), choose("auto", "auto"))


class _Views(Dataset[tuple[torch.Tensor, ...]]):
    """PIL images, augmented one by one: two views for SimSiam, the original and the pasted ones for CutPaste."""

    def __init__(self, pixels: np.ndarray, options: Finetune) -> None:
        self.images, self.options = [Image.fromarray(one) for one in pixels], options
        self.tensor = v2.Compose(
            [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
        )
        self.view = v2.Compose([
            v2.RandomResizedCrop(SIDE, (0.2, 1.0)),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(23, (0.1, 2.0))], 0.5),
            v2.RandomHorizontalFlip(),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, ...]:
        image = self.images[place]
        if isinstance(self.options, SimSiam):
            return self.tensor(self.view(image)), self.tensor(self.view(image))
        kinds = (_patch, _scar) if isinstance(self.options, CutPaste) and self.options.variant == "3way" else (_patch,)
        return self.tensor(image), *(self.tensor(paste(image)) for paste in kinds)


def _patch(image: Image.Image) -> Image.Image:
    area, aspect = random.uniform(0.02, 0.15) * SIDE * SIDE, random.uniform(0.3, 3.3)
    return _pasted(image, round((area * aspect) ** 0.5), round((area / aspect) ** 0.5), 0)


def _scar(image: Image.Image) -> Image.Image:
    return _pasted(image, random.randint(2, 16), random.randint(10, 25), random.uniform(-45, 45))


def _pasted(image: Image.Image, width: int, height: int, angle: float) -> Image.Image:
    left, top = random.randint(0, SIDE - width), random.randint(0, SIDE - height)
    patch = v2.ColorJitter(0.1, 0.1, 0.1)(image.crop((left, top, left + width, top + height))).convert("RGBA")
    patch = patch.rotate(angle, expand=True)
    result = image.copy()
    result.paste(patch, (random.randint(0, SIDE - patch.width), random.randint(0, SIDE - patch.height)), patch)
    return result


def _plain(backbone: Backbone, pixels: np.ndarray, options: Finetune) -> Callable[[], None]:
    """An epoch of the plain loop."""
    model = copy.deepcopy(backbone.model)
    network = trainable(model, LAYER).eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(f"{LAYER}."))
    head: torch.nn.Module = (
        SimSiamMethod(192, options) if isinstance(options, SimSiam) else CutPasteMethod(192, options)
    )  # type: ignore[arg-type]
    parameters = [p for p in (*network.parameters(), *head.parameters()) if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
    loader = DataLoader(_Views(pixels, options), batch_size=options.batch_size, shuffle=True, num_workers=1)

    def losses() -> Iterator[torch.Tensor]:
        for batch in loader:
            if isinstance(head, SimSiamMethod):
                z1, z2 = (head.projection(network(view).mean((2, 3))) for view in batch)
                p1, p2 = head.prediction(z1), head.prediction(z2)
                yield negative_cosine(p1, z2) / 2 + negative_cosine(p2, z1) / 2
            else:
                labels = torch.arange(len(batch)).repeat_interleave(len(batch[0]))
                yield torch.nn.functional.cross_entropy(head.head(network(torch.cat(batch)).mean((2, 3))), labels)

    def epoch() -> None:
        for loss in losses():
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch
