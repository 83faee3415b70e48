"""Cancel tokens: cancellation is final, and no callback is lost or called twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from manager.cancel import CancelToken
from manager.errors import Cancelled


def test_a_fresh_token_is_not_cancelled() -> None:
    token = CancelToken()
    assert not token.cancelled
    assert not token.wait(0)
    token.check()


def test_cancellation_is_final() -> None:
    token = CancelToken()
    token.cancel()
    token.cancel()
    assert token.cancelled
    assert token.wait(60), "returns at once"
    with pytest.raises(Cancelled):
        token.check()


def test_callbacks_run_once_in_the_cancelling_thread() -> None:
    token = CancelToken()
    called: list[int] = []
    token.on_cancel(lambda: called.append(threading.get_ident()))
    assert called == []

    def cancel() -> int:
        token.cancel()
        return threading.get_ident()

    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(cancel).result()
    token.cancel()
    assert called == [thread]


def test_a_callback_that_comes_too_late_runs_at_once() -> None:
    token = CancelToken()
    token.cancel()
    called: list[str] = []
    forget = token.on_cancel(lambda: called.append("late"))
    assert called == ["late"]
    forget()


def test_a_removed_callback_is_not_called() -> None:
    token = CancelToken()
    called: list[str] = []
    forget = token.on_cancel(lambda: called.append("first"))
    token.on_cancel(lambda: called.append("second"))
    forget()
    forget()
    token.cancel()
    assert called == ["second"]


def test_callbacks_may_use_the_token() -> None:
    token = CancelToken()
    seen: list[bool] = []

    def callback() -> None:
        forget()
        token.cancel()
        seen.append(token.cancelled)

    forget = token.on_cancel(callback)
    token.cancel()
    assert seen == [True]


def test_waiting_ends_when_it_is_cancelled() -> None:
    token = CancelToken()
    waiting = threading.Event()

    def wait() -> bool:
        waiting.set()
        return token.wait(60)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(wait)
        assert waiting.wait(60)
        token.cancel()
        assert future.result(10)


def test_every_callback_runs_whichever_side_wins() -> None:
    def cancel(token: CancelToken, barrier: threading.Barrier) -> None:
        barrier.wait()
        token.cancel()

    with ThreadPoolExecutor(1) as pool:
        for _ in range(200):
            token, barrier = CancelToken(), threading.Barrier(2)
            called: list[CancelToken] = []
            cancelling = pool.submit(cancel, token, barrier)
            barrier.wait()
            token.on_cancel(partial(called.append, token))
            cancelling.result()
            assert called == [token]
