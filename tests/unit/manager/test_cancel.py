"""Cancel tokens: once and for good, and nobody who listens is forgotten or called twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from manager.cancel import CancelToken
from manager.errors import Cancelled


def test_a_fresh_token_is_not_cancelled() -> None:
    token = CancelToken()
    assert not token.cancelled
    assert not token.wait(0)
    token.check()


def test_cancelled_is_for_good() -> None:
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
    with ThreadPoolExecutor(1) as pool:
        thread = pool.submit(lambda: (token.cancel(), threading.get_ident())[1]).result()
    token.cancel()
    assert called == [thread]


def test_a_callback_that_comes_too_late_runs_at_once() -> None:
    token = CancelToken()
    token.cancel()
    called: list[str] = []
    forget = token.on_cancel(lambda: called.append("late"))
    assert called == ["late"]
    forget()


def test_a_callback_that_was_taken_back_is_not_called() -> None:
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
    forget = token.on_cancel(lambda: (seen.append(token.cancelled), forget(), token.cancel())[0])
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
    with ThreadPoolExecutor(1) as pool:
        for _ in range(200):
            token, barrier = CancelToken(), threading.Barrier(2)
            called: list[int] = []
            cancelling = pool.submit(lambda token=token, barrier=barrier: (barrier.wait(), token.cancel()))
            barrier.wait()
            token.on_cancel(lambda called=called: called.append(1))
            cancelling.result()
            assert called == [1]
