"""``vqi serve``: published or exported models as a service over HTTP, with a page."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from vqi_pipelines.commands.options import LocalPath, engine_options
from vqi_pipelines.commands.sinking import SinkOptions, sink_options

TOKEN = "VQI_TOKEN"  # noqa: S105 - the variable's name
_LOOPBACK = ("localhost", "127.", "::1")


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL|STORE...")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all of this machine."
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 for one that is free.")
@click.option(
    "--reload",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How often to look for a new version of a category, which then replaces the one that is served; 0 for never.",
)
@click.option(
    "--queue",
    default=32,
    show_default=True,
    type=click.IntRange(1),
    help="Photographs that are scored or wait for it; beyond that, requests are answered with 503.",
)
@click.option("--max-bytes", default=32 << 20, show_default=True, type=click.IntRange(1), help="Of one request.")
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="For a client to send its request, and to read the answer.",
)
@click.option(
    "--token-file",
    type=LocalPath(),
    metavar="FILE",
    help=f"A file with a token that requests have to send: Authorization: Bearer TOKEN. [{TOKEN}; none]",
)
@click.option(
    "--verdicts",
    metavar="STORE",
    help="Keep what operators say of photographs, in this store, which is then written to. [none is kept]",
)
@click.option("--digest-only", is_flag=True, help="With --verdicts: keep digests, and no photograph.")
@sink_options
@engine_options
def serve(
    models: tuple[str, ...],
    host: str,
    port: int,
    reload: float,
    queue: int,
    max_bytes: int,
    timeout: float,
    token_file: Path | None,
    verdicts: str | None,
    digest_only: bool,
    sink: SinkOptions,
    engine: str,
    precision: str,
) -> None:
    """Serve published or exported models over HTTP, until SIGINT or SIGTERM.

    MODEL is the folder or uri of a version, or of a category, whose champion is served; or a file that `vqi
    export` wrote (bracket.xml), or its folder, which needs no torch. STORE is a store
    (store, s3://vqi), or a dataset in it (store/models/parts): all its categories are served, by their names.

    \b
    Then:
      curl --data-binary @part.png http://127.0.0.1:8000/score
    and the page at http://127.0.0.1:8000/ in a browser. docs/serving.md has the rest.
    """
    # Here, because they take long to import.
    import logging

    from vqi.models.loading import load
    from vqi.progress import message
    from vqi.serving import server
    from vqi.serving.app import create_app
    from vqi.serving.finding import current_at, places_of
    from vqi.serving.keeping import keeping_at
    from vqi.serving.limits import Limits
    from vqi.serving.models import Models

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if digest_only and verdicts is None:
        raise click.UsageError("--digest-only: expected with --verdicts STORE")
    token = _token(token_file)
    if not token and not host.startswith(_LOOPBACK):
        answers = ", and give answers that may train" if verdicts else ""
        message(
            f"warning: whoever reaches {host} port {port} can use this service{answers}: set {TOKEN} or --token-file"
        )
    limits = Limits(body=max_bytes, bodies=8 * max_bytes, queue=queue, seconds=timeout)
    # a port that is taken, and a sink that is none, are said before models are loaded
    with server.listen(host, port) as listener, sink.opened() as outbox:
        places = places_of(models)
        keeping = None if verdicts is None else keeping_at(verdicts, places, photographs=not digest_only)
        served = Models(places, partial(load, engine=engine, precision=precision), current_at)
        names = ", ".join(f"{one.name} v{one.now.version}" for one in served)
        app = create_app(served, limits, token=token, reload=reload, keeping=keeping, outbox=outbox)
        message(f"serving {names} at {server.address_of(listener)}")
        server.run(app, listener, limits)


def _token(file: Path | None) -> str:
    """The token that requests have to send; '' for none.

    Raises:
        VqiError: It is none that keeps anybody out.
        OSError: The file cannot be read.
    """
    from vqi.serving.guard import check_token

    if file is not None:
        return check_token(file.read_text(encoding="utf-8", errors="replace"), str(file))
    return check_token(os.environ[TOKEN], TOKEN) if TOKEN in os.environ else ""
