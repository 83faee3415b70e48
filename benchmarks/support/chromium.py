"""Chromium as a meter: traffic by request, times within a page, work of its main thread and of its processes.

Uses the Chrome DevTools Protocol. Sizes are bytes on the wire with headers, times are seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

WATCH = """
window.meter = { longTasks: [], times: {} };
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) meter.longTasks.push([task.startTime, task.duration]);
}).observe({ type: 'longtask', buffered: true });
const watcher = new MutationObserver(() => {
  const start = document.querySelector('#arena-start');
  if (start && !start.disabled) meter.times.start ??= performance.now();
  if (document.querySelector('#arena-link :is([data-opened], [data-run])')) meter.times.usable ??= performance.now();
  if (meter.times.start && meter.times.usable) watcher.disconnect();
});
watcher.observe(document, { childList: true, subtree: true, attributes: true });
"""
"""Notes when Start can be pressed, when everything is restored, and every task of 50 ms or more."""

GRADIO = ("/assets/", "/static/", "/svelte/")
"""Where the scripts and styles lie that come with Gradio."""


@dataclass
class Request:
    """One request of a page."""

    path: str
    sent: int = 0  # bytes received so far, with headers
    open: bool = True

    @property
    def is_gradios(self) -> bool:
        """Whether it fetches a script or style that comes with Gradio."""
        return self.path.startswith(GRADIO)


@dataclass
class Meter:
    """A page and what it did since it was opened."""

    page: Page
    session: CDPSession
    requests: dict[str, Request] = field(default_factory=dict)

    @classmethod
    def open(cls, context: BrowserContext, kilobits: int | None = None, latency_ms: int = 0) -> Meter:
        """Open an empty page whose traffic is counted and, if asked for, throttled."""
        page = context.new_page()
        page.add_init_script(WATCH)
        meter = cls(page, context.new_cdp_session(page))
        for event, listener in (
            ("Network.requestWillBeSent", meter._sent),
            ("Network.responseReceived", meter._answered),
            ("Network.dataReceived", meter._received),
            ("Network.loadingFinished", meter._finished),
        ):
            meter.session.on(event, listener)
        meter.session.send("Network.enable")
        meter.session.send("Performance.enable")
        if kilobits is not None:
            rate = kilobits * 1000 / 8
            meter.session.send(
                "Network.emulateNetworkConditions",
                {"offline": False, "latency": latency_ms, "downloadThroughput": rate, "uploadThroughput": rate},
            )
        return meter

    def _sent(self, event: Mapping[str, Any]) -> None:
        url = urlsplit(event["request"]["url"])
        if url.scheme in ("http", "https"):
            self.requests[event["requestId"]] = Request(url.path)

    def _answered(self, event: Mapping[str, Any]) -> None:
        request = self.requests.get(event["requestId"])
        if request is not None and event["response"].get("fromDiskCache"):
            del self.requests[event["requestId"]]  # nothing was sent

    def _received(self, event: Mapping[str, Any]) -> None:
        if request := self.requests.get(event["requestId"]):
            request.sent += event["encodedDataLength"]

    def _finished(self, event: Mapping[str, Any]) -> None:
        if request := self.requests.get(event["requestId"]):
            request.sent, request.open = int(event["encodedDataLength"]), False

    def wait(self, seconds: float) -> None:
        """Let the page run."""
        self.page.wait_for_timeout(1000 * seconds)

    def traffic(self) -> dict[str, int]:
        """Return requests and bytes so far: those of the program, and the scripts and styles of Gradio."""
        theirs = [request for request in self.requests.values() if request.is_gradios]
        ours = [request for request in self.requests.values() if not request.is_gradios]
        return {
            "requests": len(ours),
            "bytes": sum(request.sent for request in ours),
            "gradio_requests": len(theirs),
            "gradio_bytes": sum(request.sent for request in theirs),
        }

    def times(self) -> dict[str, float]:
        """Return how long the page took until Start could be pressed, and until all was restored."""
        self.page.wait_for_function("() => meter.times.start && meter.times.usable", timeout=180_000)
        found = self.page.evaluate("meter.times")
        return {"start_seconds": found["start"] / 1000, "usable_seconds": found["usable"] / 1000}

    def long_tasks(self, since: float = 0.0) -> list[float]:
        """Return the milliseconds of the tasks of 50 ms or more that began since a time of `now`, longest first."""
        found = self.page.evaluate("meter.longTasks")
        return sorted((took for began, took in found if began >= since), reverse=True)

    def now(self) -> float:
        """Return the time on the page's clock in milliseconds."""
        return float(self.page.evaluate("performance.now()"))

    def main_thread(self) -> dict[str, float]:
        """Return the seconds that the main thread has worked, and on what."""
        listed = {entry["name"]: entry["value"] for entry in self.session.send("Performance.getMetrics")["metrics"]}
        return {
            "task": listed["TaskDuration"],
            "script": listed["ScriptDuration"],
            "style": listed["RecalcStyleDuration"],
            "layout": listed["LayoutDuration"],
        }


@contextmanager
def profiled(meter: Meter) -> Iterator[dict[str, float]]:
    """Fill in whose functions the main thread spends its seconds in during a block, by sampling.

    `gradio` is what comes from Gradio's scripts, `ours` the rest of JavaScript: Gradio runs a component's own script
    without an address. `browser` has no JavaScript on its stack: parsing, style, layout, painting.
    """
    found: dict[str, float] = {}
    meter.session.send("Profiler.enable")
    meter.session.send("Profiler.setSamplingInterval", {"interval": 1000})
    meter.session.send("Profiler.start")
    yield found
    profile = meter.session.send("Profiler.stop")["profile"]
    nodes = {node["id"]: node["callFrame"] for node in profile["nodes"]}
    for node_id, micros in zip(profile["samples"], profile["timeDeltas"], strict=True):
        frame = nodes[node_id]
        kind = {"(idle)": "idle", "(program)": "browser", "(garbage collector)": "garbage", "(root)": "browser"}.get(
            frame["functionName"], "gradio" if urlsplit(frame["url"]).path.startswith(GRADIO) else "ours"
        )
        found[kind] = found.get(kind, 0.0) + micros / 1e6


def processor_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and those it started."""
    found = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue  # it has ended
        found += times.user + times.system
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the installed Chromium, or Playwright's."""
    names = ("chromium", "google-chrome", "chromium-headless-shell")
    installed = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed,
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        try:
            yield browser
        finally:
            browser.close()


def browser_process() -> psutil.Process:
    """Return the process of the Chromium that this program started."""
    mine = psutil.Process().children(recursive=True)
    return next(one for one in mine if "--headless" in " ".join(one.cmdline()) and "--type=" not in str(one.cmdline()))
