"""What a user asks of a source, beside its name: which categories, from where, and whether the licence is accepted."""

from __future__ import annotations

import os
from dataclasses import dataclass

CONSENT = "USER_CONSENT"


@dataclass(frozen=True)
class Request:
    """As the step's parameters of these names say."""

    categories: tuple[str, ...] = ()  # empty for all
    url: str = ""  # in place of the known address of a public dataset
    sha256: str = ""  # of the archive
    accept_license: bool = False

    @property
    def consents(self) -> bool:
        """Whether the licence is accepted, here or with ``USER_CONSENT=y`` in the environment."""
        return self.accept_license or os.environ.get(CONSENT, "").strip().lower() in ("y", "yes")


DEFAULT = Request()
