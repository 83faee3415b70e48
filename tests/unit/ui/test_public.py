"""The public surface of `ui`."""

from __future__ import annotations

import subprocess
import sys

import ui
import ui.page


def test_the_public_names_are_these() -> None:
    assert ui.__all__ == ["build_page"]
    assert ui.build_page is ui.page.build_page


def test_importing_ui_does_not_import_gradio() -> None:
    program = "import sys, ui; print('gradio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
