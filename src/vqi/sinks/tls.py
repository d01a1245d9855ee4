"""The certificates that the environment names."""

from __future__ import annotations

import ssl

from vqi.errors import VqiError
from vqi.sinks.interface import VARIABLES, Credentials


def tls_of(credentials: Credentials) -> ssl.SSLContext:
    """What a connection trusts, and shows.

    Raises:
        VqiError: A file of certificates cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=credentials.authority or None)
        if credentials.certificate:
            context.load_cert_chain(credentials.certificate, credentials.key or None)
    except OSError as error:  # as is an SSLError
        names = ", ".join(VARIABLES[name] for name in ("authority", "certificate", "key"))
        raise VqiError(f"{names}: expected files of certificates: {error.strerror or error}") from error
    return context
