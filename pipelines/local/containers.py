"""The launcher of containers: each step by ``podman run`` or ``docker run``, with only what it needs.

The root is read-only, no capability is kept, no privilege can be gained, the user is a number that is not 0. What a
step sees of this machine is at the same paths inside, so that its command is that of a subprocess.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from vqi.errors import VqiError
from vqi_components.environment import TERMINATION
from vqi_pipelines.ir.graph import Container
from vqi_pipelines.ir.python_components import installs_packages
from vqi_pipelines.local import grants
from vqi_pipelines.local.launch import Ended, Job, run_process
from vqi_pipelines.local.limits import Limits, here, killed, limits_of, out_of_memory

ENGINES = ("podman", "docker")
_PING = {
    "podman": ["info", "--format", "{{.Version.Version}}"],
    "docker": ["version", "--format", "{{.Server.Version}}"],
}
_ENGINE_FAILED = 125  # exit code of `run` when the container was not started
_KILLED = 128 + signal.SIGKILL
_ANSWER_SECONDS = 60
_REMOVAL_PAUSES = (0.1, 0.2, 0.4, 0.8)  # seconds before a removal is tried again
_OWN_IMAGES = "vqi"  # their names begin so
_MOST_PROCESSES = "4096"  # threads count; docker has no limit by itself
# Runs the step and, when it was killed, keeps what its cgroup (version 1 or 2) counted: podman before 5 and docker on
# some kernels do not distinguish a kill for lack of memory, and the cgroup is gone with the container.
_RUN = """trap : TERM INT
"$@"
code=$?
[ $code -ne 137 ] || cat /sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events > "$0" 2> /dev/null
exit $code"""
_COUNTS = "memory_events"
_TEMPORARY = "tmp"  # folder of the step that it sees as /tmp
_OUT_OF_MEMORY = re.compile(r"^oom_kill [1-9]", re.MULTILINE)


class Containers:
    """Steps as containers of one engine."""

    def __init__(self, engine: str) -> None:
        self.name = self._engine = engine
        self._images: dict[str, tuple[str, int]] = {}  # reference -> its id, and the user id of its steps

    def check(self, images: Iterable[str]) -> None:
        """See ``Launcher.check``: the engine must be installed, respond, and have all images."""
        if shutil.which(self._engine) is None:
            raise VqiError(
                f"launcher '{self._engine}': {self._engine} is not installed: install it, or use another --launcher"
            )
        answer = self._ask(*_PING[self._engine])
        if answer.returncode:
            raise VqiError(
                f"launcher '{self._engine}': {self._engine} did not respond ({_first_line(answer.stderr)}): start its "
                f"service, such as 'systemctl start {self._engine}', or use another --launcher"
            )
        for image in images:
            self._images[image] = self._inspect(image)

    def code_of(self, container: Container) -> Mapping[str, str]:
        """See ``Launcher.code_of``: the image, by its id, contains all of it."""
        return {"image_id": self._images[container.image][0]}

    def shown(self, job: Job) -> tuple[list[str], Mapping[str, str]]:
        """See ``Launcher.shown``."""
        return self._command(job, _limits(job), ["--rm"])

    async def run(self, job: Job) -> Ended:
        """See ``Launcher.run``."""
        limits = _limits(job)
        if "accelerator" in job.container.resources:
            raise VqiError(
                f"launcher '{self._engine}' gives a step no accelerator: run it on a cluster, or as a subprocess"
            )
        if installs_packages(job.command) and not grants.needs_network(job):
            raise VqiError(
                f"launcher '{self._engine}': the step installs packages when it starts, and has no network: use an "
                "image with kfp and install_kfp_package=False, or --launcher subprocess"
            )
        name = f"vqi-{re.sub('[^A-Za-z0-9_.-]', '-', job.label)}-{uuid.uuid4().hex[:8]}"
        command, environment = self._command(job, limits, ["--name", name])
        try:
            # When this process is killed, SIGTERM lets the engine's client stop the container, which is not its child.
            code = await run_process(command, job, environment, signal.SIGTERM)
            reason = await asyncio.to_thread(self._reason, name, code, job, limits)
        except BaseException:
            await asyncio.to_thread(self._remove, name)
            raise
        return Ended(code, reason, await asyncio.to_thread(self._remove, name))

    def _command(self, job: Job, limits: Limits, first: list[str]) -> tuple[list[str], Mapping[str, str]]:
        """The command that starts a step after preparing its folders, and that command's environment.

        The engine's client passes variables on by name, so that no value appears in a list of processes.
        """
        variables = grants.variables(job, sized=limits.cpus is not None)
        self._make_ready(job)
        command = [self._engine, "run", *first, *self._flags(job, limits), *_names(variables), *self._step(job)]
        return command, {**os.environ, **variables}

    def _step(self, job: Job) -> list[str]:
        return [job.container.image, "sh", "-c", _RUN, str(job.folder / _COUNTS), *job.command]

    def _flags(self, job: Job, limits: Limits) -> list[str]:
        flags = ["--pull", "never", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        flags += ["--pids-limit", _MOST_PROCESSES, "--log-driver", "none"]
        flags += ["--workdir", str(job.folder / "work")]
        # On the disk: a dataset stays there for a while, and a tmpfs would count as the step's memory.
        flags += ["--mount", mount_flag(grants.Mount(job.folder / _TEMPORARY, writable=True), "/tmp")]  # noqa: S108
        flags += self._user_flags() + grants.network_flags(job)
        if limits.cpus is not None:
            flags += ["--cpus", f"{limits.cpus:g}"]
        if limits.memory is not None:
            flags += ["--memory", str(limits.memory), "--memory-swap", str(limits.memory)]
        for mount in grants.mounts(job):
            flags += ["--mount", mount_flag(mount)]
        return flags

    def _user_flags(self) -> list[str]:
        """The user of a step: the user who runs this, who then owns the results; for root the image's own."""
        if os.getuid() == 0:
            return []
        same_outside = ["--userns", "keep-id"] if self._engine == "podman" else []
        return [*same_outside, "--user", f"{os.getuid()}:{os.getgid()}"]

    def _make_ready(self, job: Job) -> None:
        """Let the step write to its folder, and to the store if it may.

        Raises:
            VqiError: The store belongs to another user.
        """
        user = self._images[job.container.image][1] if os.getuid() == 0 else os.getuid()
        store = grants.local_store(job)
        if store is not None and not store.exists():
            store.mkdir(parents=True)
            _give(store, user)
        if store is not None and grants.owner_of(store) != user:
            raise VqiError(
                f"store {store}: it belongs to user {grants.owner_of(store)}, and steps in containers are user {user}: "
                f"'chown -R {user} {store}', or use another --store"
            )
        kept = grants.downloads(job)
        if kept is not None:
            kept.mkdir(exist_ok=True)
            _give(kept, user)
        (job.folder / _TEMPORARY).mkdir(exist_ok=True)
        reasons = [Path(job.environment[TERMINATION])] if TERMINATION in job.environment else []
        for path in (job.folder, *reasons, *(path for path in job.folder.rglob("*") if path.is_dir())):
            _give(path, user)

    def _reason(self, name: str, code: int, job: Job, limits: Limits) -> str:
        """Why a container ended, if its exit code does not say.

        Raises:
            VqiError: It was not started at all; the engine's message is in the log.
        """
        if code == _ENGINE_FAILED:
            lines = job.log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise VqiError(f"{self._engine} did not start the step: {lines[-1] if lines else 'it gives no reason'}")
        if code != _KILLED:
            return ""
        counts = job.folder / _COUNTS
        answer = self._ask("container", "inspect", "--format", "{{.State.OOMKilled}}", name)
        if answer.stdout.strip() == "true" or (counts.exists() and _OUT_OF_MEMORY.search(counts.read_text("ascii"))):
            return out_of_memory(job.container, limits.memory)
        return killed(job.container, limits.memory)

    def _remove(self, name: str) -> str:
        """Kill a container that is still running, and remove it; what to tell if it is still there, else ''.

        An engine that is busy with the end of a container may refuse, or lose, a request to remove it.
        """
        at_once = ["--time", "0"] if self._engine == "podman" else []
        for pause in (*_REMOVAL_PAUSES, 0.0):
            told = self._ask("rm", "--force", *at_once, name)
            if self._ask("container", "inspect", "--format", "{{.Name}}", name).returncode:
                return ""
            time.sleep(pause)
        return (
            f"container {name} was not removed ({_first_line(told.stderr)}): '{self._engine} rm --force {name}' "
            "removes it"
        )

    def _inspect(self, image: str) -> tuple[str, int]:
        """The id of an image, and its user id.

        Raises:
            VqiError: There is no image of that name, or its user is root or not a number.
        """
        answer = self._ask("image", "inspect", "--format", "{{.Id}} {{.Config.User}}", image)
        ours, make = image.startswith(_OWN_IMAGES), f"'make images ENGINE={self._engine}'"
        if answer.returncode:
            builds = f"{make} builds it, " if ours else ""
            raise VqiError(
                f"container image '{image}' is not on this machine: {builds}"
                f"'{self._engine} pull {image}' fetches it from a registry"
            )
        identity, _, user = answer.stdout.strip().partition(" ")
        number = user.partition(":")[0]
        if not number.isdecimal() or int(number) == 0:
            raise VqiError(
                f"container image '{image}': expected a USER that is a number other than 0, got '{user or 'root'}': "
                f"build it again with {make if ours else 'such a USER: here and on a cluster no step is root'}"
            )
        return identity, int(number)

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The output of the engine.

        Raises:
            VqiError: It does not respond in time.
        """
        command = [self._engine, *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise VqiError(
                f"launcher '{self._engine}': {self._engine} did not respond within {_ANSWER_SECONDS} s: restart "
                "its service"
            ) from error


def _limits(job: Job) -> Limits:
    """A step's limits, as far as they have an effect on this machine."""
    return here(limits_of(job.container.resources))


def _names(variables: Mapping[str, str]) -> list[str]:
    return [flag for name in variables for flag in ("--env", name)]


def mount_flag(mount: grants.Mount, target: str = "") -> str:
    """The value of the engine's flag ``--mount``; the step sees the path at ``target``, or at its own place.

    Raises:
        VqiError: The path has a comma, which separates the parts of the flag.
    """
    path = str(mount.path)
    if "," in path:
        raise VqiError(f"{path}: a path with a comma cannot be mounted: rename it, or use --launcher subprocess")
    return f"type=bind,source={path},target={target or path}" + ("" if mount.writable else ",readonly")


def _give(path: Path, user: int) -> None:
    """Make a user the owner of a folder, which only root can do for others."""
    if grants.owner_of(path) != user and os.getuid() == 0:
        os.chown(path, user, -1)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0] or "no message"
