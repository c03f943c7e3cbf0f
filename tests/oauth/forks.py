"""A forked child, as a server with worker processes has them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable


def in_a_child(call: Callable[[], bool]) -> bool:
    """What this gives in a forked child; ``False`` if it raises."""
    with warnings.catch_warnings():
        # Forking beside threads is what this is about; the child touches none of theirs.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            status = int(not call())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
