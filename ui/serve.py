"""Start of the page's process: settles what must be settled before Gradio or torch is imported.

Both `app.py`, which Hugging Face Spaces runs, and `parley serve` start here.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import NoReturn

from ui.server.gradio_import import skip_stub_files

SPACES_PROXIES = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def serve() -> NoReturn:
    """Serve the page until the process is stopped, and end the process with its exit status."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "0")
    # The proxies whose X-Forwarded-For uvicorn trusts. Anyone can forge that header, so none except Spaces' own.
    os.environ.setdefault("FORWARDED_ALLOW_IPS", SPACES_PROXIES if os.environ.get("SPACE_ID") else "")
    skip_stub_files()
    try:
        from manager.machine.process import leave
        from negotiation.app.machine_profile import is_zero_gpu

        # ZeroGPU's package patches torch, so it must be imported first; no other machine needs it.
        spaces = import_module("spaces") if is_zero_gpu(os.environ) else None

        from ui.program import run
    except ImportError as error:
        sys.exit(
            f"Parley cannot start: {error}; run: pip install -r requirements.txt "
            "(or `make run`, which sets everything up)"
        )
    leave(run(spaces.GPU if spaces is not None else None))
