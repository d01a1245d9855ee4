"""The programs that users work with (kubectl, helm, argo), and look-ups in a cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

Found = TypeVar("Found")
PAUSE_SECONDS = 0.5  # between two checks
RUN = "workflows.argoproj.io/workflow"  # the label of a run's pods
Object = dict[str, Any]


def run(program: str, *arguments: str, given: bytes | str | None = None, check: bool = True) -> str:
    """What a program prints; a failure fails the test."""
    done = subprocess.run(
        [program, *arguments],
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        timeout=300,
        env=os.environ | {"NO_COLOR": "1"},
    )
    said = done.stdout.decode()
    assert not check or done.returncode == 0, f"{program} {' '.join(arguments)}: {said}{done.stderr.decode()}"
    return said if check else said + done.stderr.decode()


kubectl, helm, argo = partial(run, "kubectl"), partial(run, "helm"), partial(run, "argo")


def objects(kind: str, namespace: str, *flags: str) -> list[Object]:
    """The objects of a kind."""
    return list(json.loads(kubectl("get", kind, "-n", namespace, "-o", "json", *flags))["items"])


def read(kind: str, namespace: str, name: str) -> Object | None:
    """An object; None when there is none of this name."""
    found = kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
    return dict(json.loads(found)) if found else None


def apply(*found: Object, namespace: str) -> None:
    """Create or change objects."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(found)}
    kubectl("apply", "-n", namespace, "-f", "-", given=json.dumps(items))


def until(what: str, look: Callable[[], Found | None], seconds: float) -> Found:
    """What a check finds, once it finds something.

    Raises:
        AssertionError: It found nothing within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(PAUSE_SECONDS)
    return found


@contextmanager
def forwarded(namespace: str, service: str, port: int) -> Iterator[str]:
    """The address on this machine through which a port of a service is reached."""
    command = ["kubectl", "port-forward", "-n", namespace, f"service/{service}", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            match = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
            assert match, "kubectl port-forward did not start"
            yield match[0]
        finally:
            process.terminate()


@dataclass(frozen=True)
class Node:
    """A step of a run that has, or had, a pod of its own."""

    step: str
    name: str  # with the items of the loops
    id: str
    phase: str
    message: str
    started: datetime
    finished: datetime | None
    pod: str


@dataclass(frozen=True)
class Workflow:
    """A run on the cluster."""

    namespace: str
    name: str

    def status(self) -> Object:
        """What Argo reports about it."""
        found = read("workflow", self.namespace, self.name)
        assert found, f"workflow {self.name} is gone"
        return dict(found.get("status", {}))

    def ended(self, seconds: float = 420) -> str:
        """Its phase once it has ended, and with a failure the message of its nodes."""
        return until(f"the end of {self.name}", self._end, seconds)

    def _end(self) -> str | None:
        phase = str(self.status().get("phase"))
        if phase == "Succeeded":
            return phase
        return f"{phase}:\n{self.shown()}" if phase in ("Failed", "Error") else None

    def shown(self) -> str:
        """What ``argo get`` shows."""
        return argo("get", "-n", self.namespace, self.name, "--no-color")

    def nodes(self, step: str = "") -> list[Node]:
        """Its pods, those of one step or of all, in the order of their start."""
        found = [n for n in self.status().get("nodes", {}).values() if n["type"] == "Pod"]
        nodes = [
            Node(
                n["templateName"],
                n["name"],
                n["id"],
                n["phase"],
                n.get("message", ""),
                datetime.fromisoformat(n["startedAt"].replace("Z", "+00:00")),
                datetime.fromisoformat(n["finishedAt"].replace("Z", "+00:00")) if n.get("finishedAt") else None,
                f"{self.name}-{n['templateName']}-{n['id'].rsplit('-', 1)[1]}",
            )
            for n in found
            if step in ("", n["templateName"])
        ]
        return sorted(nodes, key=lambda node: node.started)

    def succeeded(self, step: str, seconds: float = 240) -> None:
        """Wait until a step is done."""
        until(f"{self.name}: {step}", lambda: any(n.phase == "Succeeded" for n in self.nodes(step)), seconds)

    def is_gone(self) -> bool:
        """Whether it was deleted."""
        return read("workflow", self.namespace, self.name) is None


def submit(namespace: str, template: str, *flags: str) -> Workflow:
    """``argo submit --from workflowtemplate/...``."""
    name = argo("submit", "-n", namespace, "--from", f"workflowtemplate/{template}", "-o", "name", *flags)
    return Workflow(namespace, name.strip())
