"""Self-supervised fine-tuning of a backbone on good images: one module per method. Imports torch.

The methods are those whose settings ``vqi.config.FINETUNE`` has; each is in the module of its name, as ``METHOD``.
"""

from __future__ import annotations

import importlib
from typing import cast

from vqi.artifacts.images import Images
from vqi.config import SslFinetune
from vqi.network.backbones import Backbone
from vqi.self_supervised.method import Method
from vqi.self_supervised.training import Tuned, train
from vqi.store.interface import Store


def method_class(method: str) -> type[Method]:
    """The class of a method that ``vqi.config.FINETUNE`` has."""
    return cast(type[Method], importlib.import_module(f"vqi.self_supervised.{method}").METHOD)


def finetune(parent: Backbone, images: Images, settings: SslFinetune, store: Store | None = None) -> Tuned:
    """The backbone that ``settings.method`` makes of ``parent``; ``parent`` itself for ``pretrained``.

    ``store`` keeps checkpoints while it trains.
    """
    if settings.method == "pretrained":
        return Tuned(parent, parent.record.weights)
    return train(parent, images, settings, method_class(settings.method), store)
