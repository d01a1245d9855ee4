"""The source ``bucket:s3://bucket/prefix``: images in MVTec-AD-like layout that change over time.

What the bucket holds now is listed once: key, ETag and size of every object. This snapshot is stored next to the
dataset as ``snapshot.json``, and ``bucket:s3://bucket/prefix#snapshot=<its uri or path>`` takes exactly the same
objects again, or reports which one is gone or changed. Only objects that are not in the cache are fetched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from vqi.config import SourceRequest
from vqi.datasets.advice import instead
from vqi.datasets.layout import Dataset
from vqi.datasets.objects import Cached, open_versions
from vqi.datasets.tree import cached_dataset, fetch_tree
from vqi.errors import VqiError
from vqi.progress import message
from vqi.store.interface import VersionInfo
from vqi.store.opening import read_uri

FORMAT = "vqi.snapshot/1"
MARK = "#snapshot="
EXPECTED_PLACE = f"expected bucket:s3://bucket/prefix, or that and {MARK}<uri or path of a snapshot.json>"


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset in a bucket as it is now, or as a snapshot says it was.

    Raises:
        VqiError: the place or the snapshot is wrong, nothing there fits the layout, or an object changed meanwhile.
    """
    uri, _, snapshot = argument.partition(MARK)
    if not uri.startswith("s3://"):
        better = instead("bucket", argument)
        expected = f"write '{better}'" if better else EXPECTED_PLACE
        raise VqiError(f"the source 'bucket' cannot read '{argument}': {expected}")
    store = open_versions(uri)
    versions = read_snapshot(snapshot, store.uri) if snapshot else store.list_versions()
    tree, cached = fetch_tree(store, versions, request.only_categories)
    message(f"snapshot of {store.uri}: {len(cached)} objects, {sum(one.version.size for one in cached)} bytes")
    return cached_dataset(tree, cached, write_snapshot(store.uri, cached))


def write_snapshot(uri: str, objects: Sequence[Cached]) -> str:
    """The text of a snapshot: canonical, the objects sorted by key."""
    rows = [one.version._asdict() for one in sorted(objects, key=lambda one: one.version.key)]
    return json.dumps({"format": FORMAT, "uri": uri, "objects": rows}, indent=1, ensure_ascii=False) + "\n"


def read_snapshot(place: str, uri: str) -> list[VersionInfo]:
    """The objects in a snapshot of ``uri``.

    Raises:
        VqiError: it is not a snapshot, or one of another place.
    """
    try:
        content = json.loads(read_uri(place))
        found = [VersionInfo(str(row["key"]), str(row["etag"]), int(row["size"])) for row in content["objects"]]
    except (ValueError, LookupError, TypeError) as error:
        raise VqiError(f"{place} is not a snapshot: expected the snapshot.json next to a dataset ({error})") from error
    if content.get("format") != FORMAT or content.get("uri") != uri:
        got = f"'{content.get('uri')}' in format {content.get('format')}"
        raise VqiError(f"{place} is a snapshot of {got}: expected '{uri}' in format {FORMAT}")
    return found
