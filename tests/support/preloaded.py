"""What the program imports. The process from which `tests.support.forking` forks imports this module."""

from __future__ import annotations

import gc
from importlib import import_module

from ui.server.gradio_import import skip_stub_files

skip_stub_files()
for _module in ("ui.program", "manager.backends.fake", "manager.backends.huggingface", "manager.backends.openai"):
    import_module(_module)
gc.freeze()
