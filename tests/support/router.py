"""A stand-in for a router to providers: chat for accounts with keys of their own, which fail in ways of their own."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.support.remote_server import Behaviour, Call, FaultyServer


def structured(call: Call) -> str:
    """Return a reply that follows the schema of a request: its first case with the last of all values; else a text."""
    wanted = call.body.get("response_format", {}).get("json_schema")
    return "Hello!" if wanted is None else json.dumps(_filled(wanted["schema"]))


def _filled(schema: dict[str, Any]) -> Any:
    """Return a value that follows a schema."""
    if "anyOf" in schema:
        return _filled(schema["anyOf"][0])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][-1]
    if schema.get("type") == "object":
        return {name: _filled(inner) for name, inner in schema["properties"].items()}
    return {"null": None, "integer": schema.get("maximum", 0)}.get(schema["type"], "Well then.")


def writes(call: Call) -> None:
    """Stream a reply in the form that was asked for."""
    call.start(Set_Cookie="visitor=somebody; Path=/").say(structured(call)).end(usage=(1000, 100))


def drops_out(call: Call) -> None:
    """Report inside a stream that the provider failed, as routers do once they have answered with 200."""
    call.start().event({"error": {"message": "the provider failed", "code": 502}})


def fails(status: int, **headers: str) -> Behaviour:
    """Refuse with a message that quotes the request's key, as careless servers do."""
    return lambda call: call.refuse(status, f"no: {call.headers['Authorization']}", **headers)


def says_inside(**error: str) -> Behaviour:
    """Return a behaviour that reports an error within an answer that began well."""
    return lambda connection: connection.start().event({"error": error})


FAILURES: dict[str, Behaviour] = {
    "wrong": fails(401),
    "empty": fails(402),
    "forbidden": fails(403),
    "busy": fails(429, Retry_After="0"),
    "closed": fails(429, Retry_After="3600"),
    "empty inside": says_inside(message="You have exceeded your monthly included credits for Inference Providers."),
    "no quota inside": says_inside(message="Pay first.", code="insufficient_quota"),
    "wrong inside": says_inside(message="Who are you?", type="authentication_error"),
    "down": fails(503),
    "dropped": drops_out,
}


@dataclass
class Account:
    """An account behind a key: how its requests are answered, and after how many replies it is empty."""

    behaviour: Behaviour = writes
    replies: float = float("inf")
    taken: int = field(default=0)


class Router(FaultyServer):
    """Answers each account in its own way, and records which key each request carried."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts: dict[str, Account] = {}
        self.broken: Behaviour | None = None  # how everybody is answered while the router itself is ill
        self._counting = threading.Lock()

    def next(self, call: Call) -> Behaviour:
        super().next(call)
        if self.broken is not None:
            return self.broken
        with self._counting:
            account = self.accounts.get(str(call.headers["Authorization"]).removeprefix("Bearer "))
            if account is None:
                return FAILURES["wrong"]
            account.taken += 1
            return account.behaviour if account.taken <= account.replies else FAILURES["empty"]

    @property
    def keys(self) -> list[str | None]:
        """The key of each request for text, in the order of arrival."""
        return [_key(call) for call in self.calls]

    def keys_of(self, text: str) -> list[str | None]:
        """Return the keys of the requests whose conversation contains a text."""
        return [_key(call) for call in self.calls if text in str(call.body["messages"])]

    def entry(self, **settings: Any) -> dict[str, Any]:
        """Return a registry entry for a model that each visitor pays for."""
        return {
            "type": "openai",
            "model_name": "org/strong",
            "base_url": self.base_url,
            "credentials": "visitor",
            "retries": 0,
            **settings,
        }


def _key(call: Call) -> str | None:
    given = call.headers["Authorization"]
    return None if given is None else str(given).removeprefix("Bearer ")
