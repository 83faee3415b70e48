"""A loopback server that speaks OpenAI's chat completions, or fails in any way that such servers do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.serving import StandIn

SECONDS = 60.0


class Call:
    """A request, and the means to answer it well or badly."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], released: threading.Event) -> None:
        self.body = body
        self.headers = handler.headers
        self._handler = handler
        self._released = released

    def start(self, status: int = 200, content: str = "text/event-stream", **headers: str) -> Call:
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", content)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Connection", "close")
        self._handler.end_headers()
        return self

    def raw(self, data: bytes) -> Call:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()
        return self

    def event(self, data: Any) -> Call:
        return self.raw(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode())

    def say(self, text: object, **more: Any) -> Call:
        return self.event({"choices": [{"index": 0, "delta": {"content": text, **more}}]})

    def end(self, reason: str = "stop", usage: tuple[int, int] | None = (7, 3)) -> Call:
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if usage is not None:
            counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
            self.event({"choices": [], "usage": counted})
        return self.event("[DONE]")

    def refuse(self, status: int, message: str = "", **headers: str) -> Call:
        self.start(status, "application/json", **headers)
        return self.raw(json.dumps({"error": {"message": message, "type": "error"}}).encode())

    def hang(self) -> None:
        """Send nothing until the test ends."""
        self._released.wait(SECONDS)


Behaviour = Callable[[Call], object]


def answers(
    text: str, usage: tuple[int, int] | None = (7, 3), reason: str = "stop", signed: Mapping[str, Any] | None = None
) -> Behaviour:
    """Stream a text token by token; `signed` are fields with which the server describes itself."""

    def behave(call: Call) -> None:
        call.start()
        call.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for at in range(0, len(text), 5):
            call.event({**(signed or {}), "choices": [{"index": 0, "delta": {"content": text[at : at + 5]}}]})
        call.end(reason, usage)

    return behave


def refuses(status: int, message: str = "", **headers: str) -> Behaviour:
    """Answer with an error."""
    return lambda call: call.refuse(status, message, **headers)


class FaultyServer(StandIn):
    """Answers each request for text with the next of its `behaviours`, and repeats the last one."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.behaviours: list[Behaviour] = [answers("Hello!")]
        self.looked: Behaviour = lambda call: call.start(200, "application/json").raw(b'{"data": []}')
        self.calls: list[Call] = []
        self.arrived = threading.Condition()
        self.released = threading.Event()
        self.most_at_once = self._at_once = 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next(self, call: Call) -> Behaviour:
        with self.arrived:
            self.calls.append(call)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.arrived.notify_all()
            return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]

    def gone(self) -> None:
        with self.arrived:
            self._at_once -= 1
            self.arrived.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until that many requests for text have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.calls) >= count, SECONDS)

    def wait_idle(self) -> None:
        """Wait until no request is being answered."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: not self._at_once, SECONDS)

    def close(self) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def do_GET(self) -> None:
        self.server.looked(Call(self, {}, self.server.released))
        self.close_connection = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = Call(self, {**body, "path": self.path}, self.server.released)
        try:
            self.server.next(call)(call)
        finally:
            self.close_connection = True
            self.server.gone()

    def log_message(self, *_: object) -> None:
        pass
