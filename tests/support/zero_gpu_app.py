"""`app.py` as on a ZeroGPU Space, but with torch as it is: run as a program.

The package `spaces` forks, schedules and talks to its server as ever, but leaves torch alone, as it does where there is
none: its changes need torch with CUDA.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment]  # cannot be imported until it is taken away again
    import spaces  # noqa: F401

    del sys.modules["torch"]

    from ui.serve import serve

    serve()
