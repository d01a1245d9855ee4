"""A Python component's outputs as files: kfp leaves its return values in one JSON file, which Argo cannot read."""

from __future__ import annotations

from collections.abc import Sequence

from vqi_pipelines.ir.python_components import is_python_component

# $0 is that file, the rest the component's own command. Python is there, because the component needs it. An output
# artifact that is only metadata, as of dsl.Metrics, becomes a file with that.
_SPREAD = """\
"$@"
[ ! -f "$0" ] || python3 -c '
import json, os, sys
with open(sys.argv[1]) as file:
    made = json.load(file)
for name, value in made.get("parameterValues", {}).items():
    with open(os.path.join(os.path.dirname(sys.argv[1]), name), "w") as file:
        file.write(value if isinstance(value, str) else json.dumps(value))
for whole in made.get("artifacts", {}).values():
    one = whole["artifacts"][0]
    if one.get("metadata") and not os.path.exists(one["uri"]):
        with open(one["uri"], "w") as file:
            json.dump(one["metadata"], file)
' "$0"
"""


def with_outputs_as_files(command: Sequence[str], executor_output: str) -> list[str]:
    """The command of a Python component, followed by what makes files of its outputs; any other command as it is.

    Args:
        command: Command of the container.
        executor_output: Path of the JSON file, beside those of output parameters.
    """
    return ["sh", "-ec", _SPREAD, executor_output, *command] if is_python_component(command) else list(command)
