"""One table of what to do about an error of the operating system."""

import errno
import os

from vqi.system.os_errors import ADVICE, explain, is_known


def test_file_reason_and_what_to_do() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    advice = "No space left on device: the disk is full: free some space or choose another folder"
    assert explain(error) == advice
    assert explain(error, "/out") == f"/out: {advice}"
    assert explain(OSError(errno.EACCES, "Permission denied", "/in/file"), "/out").startswith("/in/file: Permission")


def test_what_is_not_in_the_table_is_said_all_the_same() -> None:
    assert explain(OSError("odd"), "/out") == "/out: odd"
    assert explain(OSError(errno.ENOTSUP, "")) == os.strerror(errno.ENOTSUP)
    assert not is_known(OSError("odd"))
    assert not is_known(OSError(errno.ENOTSUP, "x"))
    assert all(is_known(OSError(number, "x")) for number in ADVICE)
