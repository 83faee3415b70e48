"""Signing in as the operator, and what it allows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from negotiation.runs.owners import digest
from ui.server import text
from ui.server.operator import ATTEMPTS, ATTEMPTS_OF_ALL, SIGNED_IN_SECONDS, WINDOW_SECONDS, Operators
from ui.server.visitor import COOKIE

IN_COOKIE = "visitor-with-a-long-name"
VISITOR = digest(IN_COOKIE)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def request(visitor: str | None) -> Any:
    return SimpleNamespace(cookies={COOKIE: visitor} if visitor else {}, session_hash="page")


def test_without_a_password_there_is_no_operator() -> None:
    operators = Operators(None)
    assert not operators.possible
    for given in ("", "None", "x"):
        assert operators.sign_in(VISITOR, "here", given) == text.OPERATOR_NONE
    with pytest.raises(gr.Error):
        operators.require(request(IN_COOKIE))


def test_the_password_makes_one_visitor_the_operator_for_a_while() -> None:
    clock = Clock()
    operators = Operators("open sesame", clock)
    assert operators.sign_in(VISITOR, "here", "open sesam") == text.OPERATOR_WRONG
    assert operators.sign_in(VISITOR, "here", "open sesame") is None
    operators.require(request(IN_COOKIE))
    assert not operators.is_operator(request("another-visitor-altogether"))
    assert not operators.is_operator(request(None))
    clock.now = SIGNED_IN_SECONDS
    assert not operators.is_operator(request(IN_COOKIE))


def test_signing_out_ends_the_operators_rights() -> None:
    operators = Operators("open sesame")
    operators.sign_in(VISITOR, "here", "open sesame")
    operators.sign_out(VISITOR)
    assert not operators.is_operator(request(IN_COOKIE))


def test_signing_in_needs_a_cookie() -> None:
    assert Operators("open sesame").sign_in(None, "here", "open sesame") == text.OPERATOR_COOKIE


def test_attempts_are_limited_per_address_and_in_total() -> None:
    clock = Clock()
    operators = Operators("open sesame", clock)
    for _ in range(ATTEMPTS):
        assert operators.sign_in(VISITOR, "here", "guess") == text.OPERATOR_WRONG
    assert operators.sign_in(VISITOR, "here", "open sesame") == text.OPERATOR_SLOWLY
    assert operators.sign_in(VISITOR, "elsewhere", "open sesame") is None
    for number in range(ATTEMPTS_OF_ALL - ATTEMPTS):
        assert operators.sign_in(VISITOR, f"address {number}", "guess") == text.OPERATOR_WRONG
    assert operators.sign_in(VISITOR, "one more", "open sesame") == text.OPERATOR_SLOWLY
    clock.now = WINDOW_SECONDS
    assert operators.sign_in(VISITOR, "here", "open sesame") is None
