"""The variables by which the one who starts a step tells it more than its flags do."""

import json

from vqi.errors import VqiError

# The file that takes the reason why a step failed, if it exists; Kubernetes' own where the variable is not set.
TERMINATION = "VQI_TERMINATION_LOG"
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_BYTES = 4096  # that Kubernetes reads of it

# Pages that a report links to, as a JSON mapping from what they are called to their addresses, relative to the report.
LINKS = "VQI_REPORT_LINKS"

# Whole values, as a JSON mapping, of flags that are redacted on the command line, which every user of a machine sees.
SECRETS = "VQI_SECRET_FLAGS"


def texts_in(name: str, text: str) -> dict[str, str]:
    """A JSON mapping of texts, the value of one of the variables.

    Raises:
        VqiError: It is none.
    """
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise VqiError(f"{name}: expected a JSON mapping of texts: it is set by 'vqi run' only, unset it")
    return values
