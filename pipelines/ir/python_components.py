"""Python components (``@dsl.component``): a container whose command installs kfp and runs one function with it.

The function's return values are in a JSON file, the ExecutorOutput, which Kubeflow's launcher reads; elsewhere the
backends do. The command's form is that of kfp 2.17.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_RUNNER = "kfp.dsl.executor_main"
# Runs that module, with parameters of an environment variable in place of those on the command line.
_RUNS_WITH = """
import json, os, runpy, sys
at = sys.argv.index("--executor_input") + 1
told = json.loads(sys.argv[at], strict=False)
told["inputs"]["parameterValues"].update(json.loads(os.environ.pop("{variable}")))
sys.argv[at] = json.dumps(told)
runpy.run_module("{runner}", run_name="__main__", alter_sys=True)
"""
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


def with_parameters_of(variable: str, command: Sequence[str]) -> list[str]:
    """The command of a Python component that takes parameters, a JSON mapping, from an environment variable, too.

    They replace those of the same name on its command line, which every user of a machine sees.
    """
    program = _RUNS_WITH.format(variable=variable, runner=_RUNNER)
    if _RUNNER in command:
        at = list(command).index(_RUNNER)
        return [*command[: at - 1], "-c", program, *command[at + 1 :]]
    return [text.replace(f"-m {_RUNNER}", f"-c {shlex.quote(program)}") for text in command]
