"""Self-supervised fine-tuning of a backbone on good images: one method a module, one line here.

A method takes the parent backbone, the images and the settings, and gives a backbone. Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable

from vqi.artifacts import Images
from vqi.backbones import Backbone
from vqi.config import SslFinetune
from vqi.errors import unknown

Method = Callable[[Backbone, Images, SslFinetune], Backbone]


def pretrained(parent: Backbone, images: Images, settings: SslFinetune) -> Backbone:
    """No training: the parent as it is."""
    return parent


METHODS: dict[str, Method] = {
    "pretrained": pretrained,
}


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        VqiError: Unknown method.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
