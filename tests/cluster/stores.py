"""Object stores as a test reaches them, and releases of the chart."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio

from tests.cluster.programs import forwarded, kubectl, read

REGION = "us-east-1"


@dataclass(frozen=True)
class ObjectStore:
    """Where a store is, and its keys."""

    endpoint: str
    access_key: str
    secret_key: str

    @classmethod
    def from_url(cls, url: str) -> ObjectStore:
        """From ``http://key:secret@host:port``."""
        parts = urlsplit(url)
        assert parts.username, url
        assert parts.password, url
        return cls(f"{parts.scheme}://{parts.hostname}:{parts.port}", parts.username, parts.password)

    @property
    def environment(self) -> dict[str, str]:
        """What vqi.store reads."""
        return {
            "VQI_S3_ENDPOINT": self.endpoint, "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }  # fmt: skip

    @property
    def client(self) -> Minio:
        """A client for it."""
        host = self.endpoint.removeprefix("http://")
        return Minio(host, self.access_key, self.secret_key, secure=False, region=REGION)

    def upload(self, bucket: str, folder: Path) -> None:
        """Put the files of a folder, under their paths in it."""
        if not self.client.bucket_exists(bucket):
            self.client.make_bucket(bucket)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.client.fput_object(bucket, str(path.relative_to(folder)), str(path))

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys below a prefix."""
        return [str(o.object_name) for o in self.client.list_objects(bucket, prefix, recursive=True)]

    def get(self, bucket: str, key: str) -> bytes:
        """An object."""
        response = self.client.get_object(bucket, key)
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()


@dataclass(frozen=True)
class Outside:
    """An object store outside of the cluster, which both pods and this machine can reach."""

    given: ObjectStore

    def store(self) -> ObjectStore:
        """As pods reach it."""
        return self.given

    @contextmanager
    def reached(self) -> Iterator[ObjectStore]:
        """As this machine reaches it."""
        yield self.given


@dataclass(frozen=True)
class Release:
    """A release of the chart."""

    name: str
    namespace: str
    notes: str

    @property
    def template(self) -> str:
        """Its WorkflowTemplate."""
        return f"{self.name}-training"

    @property
    def seaweedfs(self) -> str:
        """The name of its object store's StatefulSet and Service."""
        return f"{self.name}-seaweedfs"

    def for_another(self) -> dict[str, Any]:
        """The values with which another release in the namespace uses its object store."""
        address = f"{self.seaweedfs}.{self.namespace}.svc:8333"
        return {
            "store": {"existingSecret": f"{self.name}-store"},
            "artifactRepository": {"bucket": "vqi-artifacts", "endpoint": address, "insecure": True},
        }

    def store(self) -> ObjectStore:
        """Its own object store, as pods reach it."""
        secret = read("secret", self.namespace, f"{self.name}-store")
        assert secret
        data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
        return ObjectStore(data["VQI_S3_ENDPOINT"], data["AWS_ACCESS_KEY_ID"], data["AWS_SECRET_ACCESS_KEY"])

    @contextmanager
    def reached(self) -> Iterator[ObjectStore]:
        """Its own object store, as this machine reaches it."""
        with forwarded(self.namespace, self.seaweedfs, 8333) as address:
            yield replace(self.store(), endpoint=f"http://{address}")

    def weed_shell(self, command: str) -> str:
        """The output of its object store's own shell."""
        return kubectl(
            "exec", "-i", "-n", self.namespace, f"{self.seaweedfs}-0", "--", "weed", "shell", given=f"{command}\n"
        )

    def scale_store(self, replicas: int) -> None:
        """Turn its object store off (0) or on (1), and wait until that is so."""
        name = f"statefulset/{self.seaweedfs}"
        kubectl("scale", "-n", self.namespace, name, f"--replicas={replicas}")
        kubectl("rollout", "status", "-n", self.namespace, name, "--timeout=120s")
        if not replicas:
            kubectl("wait", "-n", self.namespace, f"pod/{self.seaweedfs}-0", "--for=delete", "--timeout=120s")
