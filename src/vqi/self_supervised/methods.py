"""Self-supervised fine-tuning of a backbone on good images: one method a module, one line here. Imports torch."""

from __future__ import annotations

from vqi.artifacts.images import Images
from vqi.config import SslFinetune
from vqi.network.backbones import Backbone
from vqi.self_supervised.cutpaste import CutPasteMethod
from vqi.self_supervised.method import Method
from vqi.self_supervised.simsiam import SimSiamMethod
from vqi.self_supervised.training import Tuned, train
from vqi.store.interface import Store

METHODS: dict[str, type[Method]] = {
    "simsiam": SimSiamMethod,
    "cutpaste": CutPasteMethod,
}


def finetune(parent: Backbone, images: Images, settings: SslFinetune, store: Store | None = None) -> Tuned:
    """The backbone that ``settings.method`` makes of ``parent``; ``parent`` itself for ``pretrained``.

    ``store`` keeps checkpoints while it trains.
    """
    if settings.method == "pretrained":
        return Tuned(parent, parent.weights)
    return train(parent, images, settings, METHODS[settings.method], store)
