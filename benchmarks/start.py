"""The start of the program: how long the imports take, and when the page answers.

    python -m benchmarks.start [--repeat 7]

Prints one JSON line per case: seconds, with their median and range. A case alternates with what it replaces, and
`ratio` compares the two round by round.

| case | measures | against |
|---|---|---|
| `import_gradio` | importing Gradio without its stub files, in processor time | importing it as it comes |
| `page` | from `python app.py` until the page answers | – |
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.support.report import commit, hardware, rounded
from tests.support.server import Server

AS_IT_COMES = "import time; import gradio; print(time.process_time())"
WITHOUT_STUB_FILES = "from ui.server.gradio_import import skip_stub_files; skip_stub_files(); " + AS_IT_COMES


def seconds(program: str) -> float:
    """Return the processor time of a Python program, which prints it."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)


def page_seconds() -> float:
    """Start the program with an empty home folder, and return the seconds until the page answers."""
    with tempfile.TemporaryDirectory() as home:
        server = Server(Path(home))
        begun = time.perf_counter()
        try:
            server.start()
            return time.perf_counter() - begun
        finally:
            server.kill()


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return the median and the range of some values."""
    return {"median": statistics.median(values), "range": [min(values), max(values)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    machine = {"commit": commit(), "hardware": hardware()}
    seconds(AS_IT_COMES)  # compiled and in the disk cache
    pairs = [(seconds(WITHOUT_STUB_FILES), seconds(AS_IT_COMES)) for _ in range(repeat)]
    imports = {
        "case": "import_gradio",
        "seconds": spread([new for new, _ in pairs]),
        "as_it_comes": spread([old for _, old in pairs]),
        "ratio": spread([new / old for new, old in pairs]),
    }
    page = {"case": "page", "seconds": spread([page_seconds() for _ in range(repeat)])}
    for line in (imports, page):
        print(json.dumps(rounded({**line, **machine})), flush=True)


if __name__ == "__main__":
    main()
