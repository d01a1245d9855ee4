"""Records that others wrote, and that can be done without: where one is damaged that is said, and it is as if it were
not there."""

from __future__ import annotations

from vqi.errors import UnavailableError, VqiError
from vqi.progress import message
from vqi.records import AnyRecord, parse_json
from vqi.store.interface import Store


def kept(model: type[AnyRecord], store: Store, key: str, again: str) -> AnyRecord | None:
    """The record under a key; None where there is none, or a damaged one, which is said.

    Args:
        model: The record.
        store: Where it is.
        key: Of the object.
        again: What comes of it where it is damaged, such as "it is scored again".

    Raises:
        UnavailableError: The store does not respond.
    """
    if not store.exists(key):
        return None
    try:
        return parse_json(model, store.get_bytes(key), store.uri_of(key), again)
    except UnavailableError:
        raise
    except VqiError as error:
        message(f"note: {error}")
        return None
