"""`app.py` as on a ZeroGPU Space, but with torch as it is: run as a program.

The package `spaces` forks, schedules and talks to its server as ever, but leaves torch alone, as it does where there is
none: its changes need torch with CUDA.
"""

from __future__ import annotations

import sys

sys.modules["torch"] = None  # type: ignore[assignment]  # cannot be imported until it is taken away again
import spaces  # noqa: E402, F401

del sys.modules["torch"]

import app  # noqa: E402
from manager.process import leave  # noqa: E402

if __name__ == "__main__":
    leave(app.main())
