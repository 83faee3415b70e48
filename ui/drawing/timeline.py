"""What the model manager did of late, drawn as spans of time: downloads, loads, waits, departures, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manager.status.snapshot import Entry
from ui.kit import text
from ui.kit.html import esc, fold, seconds, size, tag

WIDTH, ROW, LEFT, TOP = 900, 30, 190, 8
SHORTEST_SECONDS, LONGEST_SECONDS = 60.0, 1800.0
TICKS = (10, 30, 60, 120, 300, 600)
"""Seconds between the lines of the time axis: the first of them that makes few enough."""
MOST_TICKS = 8
MOST_LINES = 15
NAME_LETTERS = 26


def timeline_html(entries: Sequence[Entry], now: float, labels: Mapping[str, str]) -> str:
    """The spans of the last half hour, a row for each set of weights; `now` is in seconds since the epoch."""
    recent = [entry for entry in entries if (entry.ended or now) >= now - LONGEST_SECONDS]
    if not recent:
        return tag("p", esc(text.TIMELINE_EMPTY), "empty")
    start = max(now - LONGEST_SECONDS, min(now - SHORTEST_SECONDS, min(entry.begun for entry in recent)))
    rows = list(dict.fromkeys(entry.weights for entry in recent))
    names = {entry.weights: _name(entry, labels) for entry in recent}
    height = TOP + ROW * len(rows) + 26
    parts = [_axis(start, now, height)]
    for place, weights in enumerate(rows):
        y = TOP + ROW * place
        name = names[weights]
        short = name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"
        parts.append(tag("text", tag("title", esc(name)) + esc(short), "row", x=LEFT - 10, y=y + 19, text_anchor="end"))
        # Waits are thin and lie under the work that ends them.
        own = [entry for entry in recent if entry.weights == weights]
        parts += [_span(entry, start, now, y) for entry in sorted(own, key=lambda entry: entry.kind != "wait")]
    content = tag("title", esc(text.TIMELINE)) + "".join(parts)
    svg = tag("svg", content, "timeline", viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=text.TIMELINE)
    kinds = dict.fromkeys(entry.kind for entry in recent)
    legend = "".join(tag("span", tag("i", "", f"kind {kind}") + esc(text.SPANS[kind])) for kind in kinds)
    lines = "".join(tag("li", esc(_told(entry, now, names[entry.weights]))) for entry in recent[-MOST_LINES:][::-1])
    drawn = tag("div", svg, "scroll", tabindex=0) + tag("div", legend, "legend")
    return drawn + fold(text.TIMELINE_WORDS, tag("ul", lines, "told-spans"), "timeline-words")


def _x(moment: float, start: float, now: float) -> float:
    return round(LEFT + max(0.0, moment - start) / (now - start) * (WIDTH - LEFT - 8), 1)


def _axis(start: float, now: float, height: int) -> str:
    step = next((step for step in TICKS if (now - start) / step <= MOST_TICKS), TICKS[-1])
    parts = []
    for number in range(int((now - start) // step) + 1):
        x = _x(now - number * step, start, now)
        words = text.NOW if not number else text.AGO.format(time=seconds(number * step))
        parts.append(tag("line", "", "grid", x1=x, x2=x, y1=TOP, y2=height - 22))
        parts.append(tag("text", esc(words), "tick", x=x, y=height - 6, text_anchor="end" if not number else "middle"))
    return "".join(parts)


def _span(entry: Entry, start: float, now: float, y: int) -> str:
    x0, x1 = _x(entry.begun, start, now), _x(entry.ended or now, start, now)
    hint = tag("title", esc(_told(entry, now, "")))
    if entry.kind == "failure":
        cross = f"M{x0 - 5} {y + 10}l10 10m0 -10l-10 10"
        return tag("path", hint, "span failure", d=cross)
    thin = entry.kind == "wait"
    return tag(
        "rect",
        hint,
        f"span {entry.kind}" + (" open" if entry.ended is None else ""),
        x=x0,
        y=y + (22 if thin else 6),
        width=max(2.0, round(x1 - x0, 1)),
        height=5 if thin else 15,
        rx=2,
    )


def _name(entry: Entry, labels: Mapping[str, str]) -> str:
    return ", ".join(labels.get(model_id, model_id) for model_id in entry.model_ids) or entry.weights


def _told(entry: Entry, now: float, name: str) -> str:
    """A span in words."""
    parts = [name, text.SPANS[entry.kind]] if name else [text.SPANS[entry.kind]]
    if entry.kind != "failure":
        form = text.GOES_ON if entry.ended is None else text.TOOK
        parts.append(form.format(time=f"{(entry.ended or now) - entry.begun:.1f} s"))
    if entry.bytes and entry.kind != "wait":
        parts.append(size(entry.bytes))
    parts += [words for words in (entry.reason, entry.outcome) if words]
    return " · ".join(parts)
