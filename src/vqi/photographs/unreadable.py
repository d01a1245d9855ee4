"""The error for an image that cannot be read. Where nothing is decoded, nothing of what decodes is imported."""

from __future__ import annotations

from vqi.errors import VqiError


class UnreadableImage(VqiError):  # noqa: N818 - says what the image is
    """An image that cannot be read: ``name``, and why in ``reason``."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason
