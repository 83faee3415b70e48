"""Ending the process without waiting for work that nobody wants any more."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End the process now; to be called when everything is closed and stored.

    Python's own exit joins the threads of every pool, and those of a download that hangs would hold it for minutes.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever read it may be gone
            stream.flush()
    os._exit(status)
