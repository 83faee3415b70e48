"""An open page over plain HTTP: one session, the values of its components, and chained events.

Does what Gradio's own page does (queue/join, one stream of answers with differences, listeners after others), without
drawing anything: hundreds of them cost little.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, TypeVar

import httpx
from gradio_client.utils import apply_diff

API = "/gradio_api"
Result = TypeVar("Result")


class Refused(Exception):
    """A listener failed; the text is what the visitor sees."""


class Tab:
    """One open page. `changed` is called for every new value with a component (elem_id or number) and the value."""

    def __init__(self, browser: httpx.AsyncClient, config: Mapping[str, Any], query: str = "") -> None:
        self.browser, self.query = browser, query
        self.session = secrets.token_hex(6)
        self.changed: Callable[[str, Any], None] = lambda *_: None
        parts = config["components"]
        self.values: dict[int, Any] = {part["id"]: part["props"].get("value") for part in parts}
        self.states = {part["id"] for part in parts if part["type"] == "state"}
        self.ids = {part["props"]["elem_id"]: part["id"] for part in parts if part["props"].get("elem_id")}
        self.names = {number: name for name, number in self.ids.items()}
        self.listeners = {listener["id"]: listener for listener in config["dependencies"]}
        self._answers: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._early: dict[str, list[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stream: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, browser: httpx.AsyncClient, query: str = "") -> Tab:
        """Fetch the page and start its heartbeat. `load` runs the load events."""
        (await browser.get(f"/{query}")).raise_for_status()
        tab = cls(browser, (await browser.get("/config")).raise_for_status().json(), query)
        tab.spawn(tab._beat())
        return tab

    async def close(self) -> None:
        """Close the page, which cuts off everything it listens to."""
        tasks = [*self._tasks, *([self._stream] if self._stream else [])]
        for task in tasks:
            task.cancel()
        self._answers.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def lanes(self) -> list[list[str]]:
        """Names of the parts of each arena lane: table, verdict, turns, current message, two plots, head."""
        found: dict[str, list[str]] = {}
        for listener in self.listeners.values():
            names = [self.names.get(part, str(part)) for part in listener["outputs"]]
            if len(names) == 7 and names[0] in ("lane-1-table", "lane-2-table"):
                found[names[0]] = names
        return [found[name] for name in sorted(found)]

    async def tick(self) -> None:
        """Send the periodic requests of an open page once."""
        await self._all([one for one in self.listeners.values() if not one["queue"] and self._ticks(one)])

    @staticmethod
    def _ticks(listener: Mapping[str, Any]) -> bool:
        return any(event == "tick" for _, event in listener["targets"])

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run something in the background while the page is open."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def set(self, name: str, value: Any) -> None:
        """Change a component as a person would."""
        self.values[self.ids[name]] = value

    def value(self, name: str) -> Any:
        """Return the value of a component."""
        return self.values[self.ids[name]]

    async def load(self) -> None:
        """Run the load events and everything they trigger."""
        await self._all(self._listening(None, "load"))

    async def do(self, name: str, event: str = "click", data: Any = None) -> None:
        """Trigger an event as a person would, and wait for everything that follows. Raises Refused."""
        await self._all(self._listening(self.ids[name], event), data)

    def _listening(self, component: int | None, event: str) -> list[dict[str, Any]]:
        return [
            listener
            for listener in self.listeners.values()
            if any(what == event and component in (None, part) for part, what in listener["targets"])
            and listener["trigger_after"] is None
        ]

    async def _all(self, listeners: list[dict[str, Any]], data: Any = None) -> None:
        await asyncio.gather(*(self._fire(listener, data) for listener in listeners))

    async def _fire(self, listener: Mapping[str, Any], data: Any = None) -> None:
        refused: Refused | None = None
        if listener["backend_fn"]:
            try:
                async for outputs in self._run(listener, data):
                    self._show(listener["outputs"], outputs)
            except Refused as error:
                refused = error
        after = [one for one in self.listeners.values() if one["trigger_after"] == listener["id"]]
        await self._all([one for one in after if refused is None or not one["trigger_only_on_success"]])
        if refused is not None:
            raise refused

    def _show(self, parts: list[int], outputs: list[Any]) -> None:
        for part, value in zip(parts, outputs, strict=False):
            if isinstance(value, dict) and value.get("__type__") == "update":
                if "value" not in value:
                    continue
                value = value["value"]
            if part not in self.states:
                self.values[part] = value
                self.changed(self.names.get(part, str(part)), value)

    async def _run(self, listener: Mapping[str, Any], data: Any) -> AsyncIterator[list[Any]]:
        body = {
            "data": [None if part in self.states else self.values[part] for part in listener["inputs"]],
            "event_data": data,
            "fn_index": listener["id"],
            "trigger_id": listener["targets"][0][0] if listener["targets"] else None,
            "session_hash": self.session,
        }
        if not listener["queue"]:
            answer = await self.browser.post(f"{API}/run/predict{self.query}", json=body)
            if answer.is_error:
                raise Refused(answer.text[:300])
            yield answer.json()["data"]
            return
        joined = await self.browser.post(f"{API}/queue/join{self.query}", json=body)
        if joined.is_error:
            raise Refused(joined.text[:300])
        event = joined.json()["event_id"]
        answers = self._answers[event] = asyncio.Queue()
        for early in self._early.pop(event, []):
            answers.put_nowait(early)
        if self._stream is None or self._stream.done():
            self._stream = asyncio.ensure_future(self._listen())
        try:
            async for outputs in self._outputs(answers):
                yield outputs
        finally:
            self._answers.pop(event, None)

    @staticmethod
    async def _outputs(answers: asyncio.Queue[dict[str, Any]]) -> AsyncIterator[list[Any]]:
        shown: list[Any] | None = None
        while True:
            message = await answers.get()
            output = message.get("output") or {}
            if message["msg"] in ("process_generating", "process_completed") and not message["success"]:
                raise Refused(str(output.get("error") or "no reason was given"))
            if message["msg"] == "process_generating":
                new = output["data"]
                shown = new if shown is None else [apply_diff(was, diff) for was, diff in zip(shown, new, strict=True)]
                yield list(shown)
            elif message["msg"] == "process_completed":
                if shown is None:
                    yield output.get("data") or []
                return
            elif message["msg"] in ("unexpected_error", "server_stopped"):
                raise Refused(str(message.get("message")))

    async def _listen(self) -> None:
        """Read the stream of answers for as long as any are awaited."""
        while self._answers:
            try:
                async for message in self._messages(f"{API}/queue/data?session_hash={self.session}"):
                    event = message.get("event_id")
                    if message["msg"] == "close_stream":
                        break
                    if event in self._answers:
                        self._answers[event].put_nowait(message)
                    elif event:
                        self._early.setdefault(event, []).append(message)
                    elif message["msg"] in ("unexpected_error", "server_stopped"):
                        for answers in self._answers.values():
                            answers.put_nowait(message)
            except httpx.HTTPError as error:
                for answers in self._answers.values():
                    answers.put_nowait({"msg": "unexpected_error", "message": f"connection lost: {error!r}"})
                return

    async def _messages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        async with self.browser.stream("GET", path) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    yield json.loads(line.removeprefix("data: "))

    async def _beat(self) -> None:
        """Send heartbeats until the page is closed."""
        with contextlib.suppress(httpx.HTTPError, RuntimeError):  # the browser may close before this starts
            async with self.browser.stream("GET", f"{API}/heartbeat/{self.session}") as response:
                async for _ in response.aiter_lines():
                    pass


def browser(url: str) -> httpx.AsyncClient:
    """Open a browser with its own cookies."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=4)
    return httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(60, read=None), limits=limits, trust_env=False)
