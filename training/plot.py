"""The losses of a run as an SVG file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 720, 360, 48
SMOOTHED = 0.05
"""The share of each new value in the smoothed line."""
Points = Sequence[tuple[float, float]]


def draw(log: Path, file: Path) -> None:
    """Draw the losses of a log: smoothed lines for what was learned, dots for what was held out."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [entry for entry in entries if "loss" in entry]
    if not steps:
        return
    lines = {
        ("decisions", "#4338ca"): smoothed([(each["step"], each["loss"]) for each in steps]),
        ("messages", "#b45309"): smoothed(
            [(each["step"], each["message_loss"]) for each in steps if "message_loss" in each]
        ),
    }
    dots = [(each["step"], each["held_out"]["loss"]) for each in entries if "held_out" in each]
    last = max(each["step"] for each in steps)
    top = max(y for points in (*lines.values(), dots) for _, y in points)

    def place(x: float, y: float) -> str:
        across, up = (WIDTH - 2 * MARGIN) * x / last, (HEIGHT - 2 * MARGIN) * y / top
        return f"{MARGIN + across:.1f},{HEIGHT - MARGIN - up:.1f}"

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="Losses by step">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{place(0, top)} L{place(0, 0)} L{place(last, 0)}" fill="none" stroke="#6b7280"/>',
        f'<text x="{MARGIN}" y="{HEIGHT - 16}">step 0</text>',
        f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 16}" text-anchor="end">{last}</text>',
        f'<text x="8" y="{MARGIN - 8}">{top:.2f} nats per token</text>',
    ]
    for number, ((name, colour), points) in enumerate(lines.items()):
        path = " ".join(place(*point) for point in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        where = f'x="{WIDTH - MARGIN}" y="{MARGIN + 16 * number}"'
        drawn.append(f'<text {where} text-anchor="end" fill="{colour}">{name}</text>')
    for point in dots:
        x, y = place(*point).split(",")
        drawn.append(f'<circle cx="{x}" cy="{y}" r="3" fill="#4338ca"><title>held out: {point[1]:.3f}</title></circle>')
    file.write_text("\n".join([*drawn, "</svg>", ""]), encoding="utf-8")


def smoothed(points: Points) -> Points:
    """Return points whose heights are moving averages."""
    found: list[tuple[float, float]] = []
    for x, y in points:
        share = max(SMOOTHED, 1 / (len(found) + 1))
        found.append((x, y if not found else found[-1][1] + share * (y - found[-1][1])))
    return found
