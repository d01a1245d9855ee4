"""The variables by which the one who starts a step tells it more than its flags do."""

import json
import os
from collections.abc import Collection

from vqi.errors import VqiError

# The file that takes the reason why a step failed, if it exists; Kubernetes' own where the variable is not set.
TERMINATION = "VQI_TERMINATION_LOG"
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_BYTES = 4096  # that Kubernetes reads of it

# Pages that those of a category link to, as a JSON mapping from what they are called to their addresses, relative to
# the folder of a step of the category.
LINKS = "VQI_PAGE_LINKS"
REPORT, DATA_PAGE, RUN_BEFORE = "Report", "Data page", "Run before"  # the names of some of them

# Whole values, as a JSON mapping, of flags that are redacted on the command line, which every user of a machine sees.
SECRETS = "VQI_SECRET_FLAGS"


def page_links(without: Collection[str]) -> dict[str, str]:
    """The pages that a page links to: those that it is told of, without some of them.

    Raises:
        VqiError: The variable is damaged.
    """
    told = texts_in(LINKS, os.environ.get(LINKS, "{}"))
    return {name: address for name, address in told.items() if name not in without}


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
