"""Writes measured tables into docs/performance.md, each between its marks, with commit and hardware."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HEADINGS = ("case", "ratio", "spread", "rounds", "processor")
"""Figures that have a column of their own, or stand above the table."""


def write_table(page: Path, name: str, lines: Sequence[Mapping[str, Any]], bars: Mapping[str, str]) -> None:
    """Replace the text between the marks of `name` on `page` with a table of `lines`."""
    rows = [
        f"*{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {hardware()}*",
        "",
        "| case | ratio | spread | bar | figures |",
        "|---|---|---|---|---|",
    ]
    for line in lines:
        spread = " - ".join(f"{value:g}" for value in line["spread"]) if line["spread"] else ""
        ratio = f"{line['ratio']:g}" if line["ratio"] is not None else "not measured"
        rest = {key: value for key, value in line.items() if key not in HEADINGS}
        rows.append(f"| `{line['case']}` | {ratio} | {spread} | {bars.get(line['case'], '')} | {figures(rest)} |")
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not marked.search(text):
        raise ValueError(f"{page}: the marks of '{name}' are missing ({begin} ... {end})")
    body = "\n".join([begin, *rows, end])
    page.write_text(marked.sub(lambda _: body, text), encoding="utf-8")


def figures(values: Mapping[str, Any], within: str = "") -> str:
    """Flatten nested figures."""
    parts = []
    for key, value in values.items():
        name = f"{within} {key}".strip().replace("_", " ")
        parts.append(figures(value, name) if isinstance(value, Mapping) else f"{name} {shown(value)}")
    return ", ".join(parts)


def rounded(value: Any) -> Any:
    """Round all floats to four digits, at any depth."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def shown(value: Any) -> str:
    """Format a figure briefly."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def commit() -> str:
    """Return the checked-out commit, marked if files have changed since."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def hardware() -> str:
    """Return the processor and number of cores."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))
        model = found[1] if found else model
    return f"{os.cpu_count()} cores of {model}"
