"""Python components (``@dsl.component``): a container whose command installs kfp and runs one function with it.

The function's return values are in a JSON file, the ExecutorOutput, which Kubeflow's launcher reads; elsewhere the
backends do. The command's form is that of kfp 2.17.
"""

from __future__ import annotations

from collections.abc import Sequence

_RUNNER = "kfp.dsl.executor_main"
_INSTALLATION = ("sh", "-c")
_INSTALLS = "-m pip install"


def is_python_component(command: Sequence[str]) -> bool:
    """Whether a container runs a Python function through kfp."""
    return any(_RUNNER in text for text in command)


def installs_packages(command: Sequence[str]) -> bool:
    """Whether it first installs packages from a package index."""
    return is_python_component(command) and tuple(command[:2]) == _INSTALLATION and _INSTALLS in command[2]


def without_installation(command: Sequence[str]) -> list[str]:
    """The command of a Python component as it is once its packages are there; any other command as it is."""
    return list(command[3:]) if installs_packages(command) else list(command)
