"""Weight and work of the page in a real Chromium.

    python -m benchmarks.page                       # all cases, one JSON line each
    python -m benchmarks.page idle streaming        # some of them
    python -m benchmarks.page --repeat 5 first_visit

| case | measures |
|---|---|
| `first_visit` | an empty cache: requests, bytes and time until the page can be used |
| `return_visit` | the same with what a first visit left in the cache |
| `slow_first_visit`, `slow_return_visit` | both at 400 kbit/s with 100 ms of latency |
| `idle` | an open page that nobody touches: requests per second, share of a core of the page and of the server |
| `streaming` | two lanes of two models at 30 tokens a second: tasks that block the main thread, and its work |
| `streaming_profile` | the same under a profiler: whose functions that work is |

Start the program on an idle machine of two cores; visits are medians. `bytes` and `requests` leave out what comes with
Gradio (`gradio_bytes`, `gradio_requests`): its scripts and styles, which the browser caches.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, expect

from benchmarks.support.chromium import Meter, browser_process, chromium, processor_seconds, profiled
from benchmarks.support.report import commit, hardware, rounded
from tests.support.browser import choose_preset
from tests.support.server import Server

KILOBITS, LATENCY_MS = 400, 100
IDLE_SECONDS = 30.0
STREAM_SECONDS = 40.0
SETTLE_SECONDS = 3.0
"""Time for what follows a visit, such as the first status."""
VIEW = {"width": 1440, "height": 900}

BARS: dict[str, dict[str, float]] = {
    "first_visit": {"bytes": 300_000, "requests": 40, "usable_seconds": 2.0},
    "slow_first_visit": {"usable_seconds": 8.0},
    "idle": {"requests_per_second": 0.5, "page_share": 0.02, "server_share": 0.02},
    "streaming": {"longest_task_ms": 100},
}
"""What each figure should stay below."""

PRICES = (560, 540, 530, 520, 500, 490, 480, 470)
MESSAGE = (
    "I have looked at the camera again, and it was repaired only last year. That is worth something to me, and it "
    "should be worth something to you, too. Let us meet somewhere between our two figures, and shake hands today."
)
THOUGHT = (
    "They have moved a little, but not by much. If I give in too early, they will wait for more, so I should move in "
    "small steps and see whether they follow."
)


def models_yaml() -> str:
    """Return two fake models that write like small ones and never agree, on the scenario of a first visit."""
    rest = {"lens": "stays with the dealer", "case": "goes with the camera"}
    turns = [
        {"thought": THOUGHT, "action": "offer", "offer": {"price": price, **rest}, "message": MESSAGE}
        for price in PRICES
    ]
    entry = {"type": "fake", "tokens_per_second": 30, "replies": [json.dumps(turn) for turn in turns]}
    return json.dumps({"left": {"label": "Left model", **entry}, "right": {"label": "Right model", **entry}})


class Bench:
    """The cases, against one running server."""

    def __init__(self, browser: Browser, server: Server, repeat: int) -> None:
        assert server.process is not None
        self._browser = browser
        self._url = server.url
        self._server = psutil.Process(server.process.pid)
        self._repeat = repeat

    def first_visit(self) -> dict[str, Any]:
        return self._visits(cached=False)

    def return_visit(self) -> dict[str, Any]:
        return self._visits(cached=True)

    def slow_first_visit(self) -> dict[str, Any]:
        return self._visits(cached=False, kilobits=KILOBITS)

    def slow_return_visit(self) -> dict[str, Any]:
        return self._visits(cached=True, kilobits=KILOBITS)

    def idle(self) -> dict[str, Any]:
        meter = self._opened()
        before, began = len(meter.requests), self._used()
        meter.wait(IDLE_SECONDS)
        page, server = (after - then for after, then in zip(self._used(), began, strict=True))
        meter.page.context.close()
        return {
            "requests_per_second": (len(meter.requests) - before) / IDLE_SECONDS,
            "page_share": page / IDLE_SECONDS,
            "server_share": server / IDLE_SECONDS,
        }

    def streaming(self) -> dict[str, Any]:
        meter = self._set_up()
        began, before, used = meter.now(), meter.main_thread(), self._used()
        self._stream(meter)
        worked = {f"{name}_seconds": took - before[name] for name, took in meter.main_thread().items()}
        page, server = (after - then for after, then in zip(self._used(), used, strict=True))
        tasks = meter.long_tasks(began)
        meter.page.context.close()
        return {
            "seconds": STREAM_SECONDS,
            "longest_task_ms": max(tasks, default=0.0),
            "tasks_over_100_ms": sum(took > 100 for took in tasks),
            "tasks_over_50_ms": len(tasks),
            **worked,
            "page_seconds": page,
            "server_seconds": server,
        }

    def streaming_profile(self) -> dict[str, Any]:
        meter = self._set_up()
        with profiled(meter) as found:
            self._stream(meter)
        meter.page.context.close()
        return {"seconds": STREAM_SECONDS, **{f"{kind}_seconds": took for kind, took in sorted(found.items())}}

    def _visits(self, *, cached: bool, kilobits: int | None = None) -> dict[str, Any]:
        found = [self._visit(cached=cached, kilobits=kilobits) for _ in range(self._repeat)]
        return {name: statistics.median(one[name] for one in found) for name in found[0]}

    def _visit(self, *, cached: bool, kilobits: int | None) -> dict[str, float]:
        with self._browser.new_context(viewport=VIEW) as context:  # type: ignore[arg-type]
            if cached:
                first = Meter.open(context)
                first.page.goto(self._url)
                first.times()
                first.wait(SETTLE_SECONDS)
                first.page.close()
            meter = Meter.open(context, kilobits, LATENCY_MS if kilobits else 0)
            meter.page.goto(self._url, timeout=120_000)
            times = meter.times()
            meter.wait(SETTLE_SECONDS)
            return {**meter.traffic(), **times, "longest_task_ms": max(meter.long_tasks(), default=0.0)}

    def _opened(self) -> Meter:
        context = self._browser.new_context(viewport=VIEW)  # type: ignore[arg-type]
        meter = Meter.open(context)
        meter.page.goto(self._url)
        meter.times()
        meter.wait(SETTLE_SECONDS)
        return meter

    def _set_up(self) -> Meter:
        meter = self._opened()
        choose_preset(meter.page, "Mirrored")
        meter.wait(1)
        return meter

    @staticmethod
    def _stream(meter: Meter) -> None:
        """Press Start and watch; two lanes stream all the time."""
        meter.page.locator("#arena-start").click()
        meter.wait(STREAM_SECONDS)
        for lane in (1, 2):
            turns = meter.page.locator(f"#lane-{lane}-transcript")
            expect(turns).to_contain_text("shake hands")
            expect(turns.locator(".moving")).to_be_visible()

    def _used(self) -> tuple[float, float]:
        """Return the processor seconds of the browser and of the server."""
        return processor_seconds(browser_process()), processor_seconds(self._server)


CASES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "first_visit": Bench.first_visit,
    "return_visit": Bench.return_visit,
    "slow_first_visit": Bench.slow_first_visit,
    "slow_return_visit": Bench.slow_return_visit,
    "idle": Bench.idle,
    "streaming": Bench.streaming,
    "streaming_profile": Bench.streaming_profile,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", choices=[*CASES, []])
    parser.add_argument("--repeat", type=int, default=3, help="visits of each kind")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, configs = Path(folder, "home"), Path(folder, "configs")
        configs.mkdir()
        (configs / "models.yaml").write_text(models_yaml(), encoding="utf-8")
        server = Server(home, configs).start()
        try:
            with chromium() as browser:
                bench = Bench(browser, server, asked.repeat)
                for case in asked.cases or CASES:
                    figures = rounded(CASES[case](bench))
                    about = {"commit": commit(), "hardware": hardware()}
                    print(json.dumps({"case": case, **figures, "bars": BARS.get(case, {}), **about}), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
