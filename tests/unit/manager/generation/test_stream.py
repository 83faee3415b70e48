"""Token streams: whatever the producer does, the consumer sees all of the text and then one end."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from manager.cancel import CancelToken
from manager.errors import Cancelled, GenerationFailed, OutOfMemory
from manager.generation.request import Completion
from manager.generation.stream import TokenStream, cancelled

DONE = Completion("one two", "stop", tokens=2)


def test_pieces_then_the_end_then_the_completion() -> None:
    stream = TokenStream()
    stream.push("one ")
    assert stream.read() == "one "
    stream.push("t")
    stream.push("")
    stream.push("wo")
    stream.finish(DONE)
    assert list(stream) == ["two"], "what was unread comes in one piece"
    assert stream.read() is None
    assert stream.completion is DONE


def test_reading_waits_for_text() -> None:
    stream = TokenStream()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(stream.read)
        stream.push("late")
        assert future.result(10) == "late"


def test_reading_with_a_timeout_says_that_nothing_came() -> None:
    stream = TokenStream()
    assert stream.read(0) == ""
    assert not stream.ended


def test_text_that_came_before_an_error_is_read_before_it_is_raised() -> None:
    stream = TokenStream()
    stream.push("half")
    stream.fail(OutOfMemory("full"))
    assert stream.read() == "half"
    for _ in range(2):
        with pytest.raises(OutOfMemory, match="full"):
            stream.read()
    with pytest.raises(OutOfMemory):
        stream.completion  # noqa: B018 (it raises)


def test_a_foreign_error_becomes_one_of_ours_and_keeps_nothing_alive() -> None:
    class Tensor:
        pass

    stream = TokenStream()
    tensor = Tensor()
    alive = weakref.ref(tensor)

    def work(held: Tensor) -> None:
        raise ZeroDivisionError("by zero")

    try:
        work(tensor)
    except ZeroDivisionError as error:
        stream.fail(error)
    del tensor
    gc.collect()
    assert alive() is None
    with pytest.raises(GenerationFailed, match="ZeroDivisionError: by zero"):
        list(stream)


def test_only_the_first_end_counts() -> None:
    stream = TokenStream()
    stream.finish(DONE)
    stream.fail(OutOfMemory("too late"))
    assert stream.read() is None
    assert stream.completion is DONE


def test_the_completion_is_not_there_while_it_is_written() -> None:
    stream = TokenStream()
    with pytest.raises(GenerationFailed, match="not complete yet"):
        stream.completion  # noqa: B018 (it raises)


def test_closing_cancels_and_waits_for_the_producer() -> None:
    stream = TokenStream()
    log: list[str] = []

    def produce() -> None:
        stream.cancel_token.wait(60)
        log.append("let go")
        stream.fail(cancelled())

    thread = threading.Thread(target=produce)
    thread.start()
    stream.close()
    assert log == ["let go"]
    assert stream.ended
    thread.join()
    stream.close()


def test_a_producer_that_leaves_without_an_end_ends_the_stream() -> None:
    stream = TokenStream()
    with stream.producing():
        stream.push("half a")
    assert stream.read() == "half a"
    with pytest.raises(GenerationFailed, match="the writing stopped without an end"):
        stream.read()


@pytest.mark.parametrize("error", [ValueError("oh"), SystemExit("oh"), Cancelled("oh")])
def test_what_a_producer_raises_is_what_the_consumer_gets(error: BaseException) -> None:
    stream = TokenStream()

    def produce() -> None:
        with stream.producing():
            raise error

    produce()
    with pytest.raises(Cancelled if isinstance(error, Cancelled) else GenerationFailed, match="oh"):
        stream.read()


def test_a_finished_text_stays_finished() -> None:
    stream = TokenStream()
    with stream.producing():
        stream.finish(DONE)
    assert stream.completion == DONE


@pytest.mark.parametrize("leave", ["break", "with", "error"])
def test_leaving_a_stream_early_cancels_it(leave: str) -> None:
    stream = TokenStream()
    stream.push("text")
    stream.cancel_token.on_cancel(lambda: stream.fail(cancelled()))
    if leave == "break":
        iterator = iter(stream)
        next(iterator)
        iterator.close()  # type: ignore[attr-defined]
    elif leave == "with":
        with stream:
            pass
    else:
        with pytest.raises(ZeroDivisionError), stream:
            raise ZeroDivisionError
    assert stream.cancel_token.cancelled
    with pytest.raises(Cancelled):
        stream.completion  # noqa: B018 (it raises)


def test_a_finished_stream_is_not_cancelled_by_closing() -> None:
    stream = TokenStream()
    stream.finish(DONE)
    stream.close()
    assert not stream.cancel_token.cancelled


def test_the_callers_token_cancels_it() -> None:
    outer = CancelToken()
    stream = TokenStream(outer)
    outer.cancel()
    assert stream.cancel_token.cancelled


def test_closing_does_not_cancel_the_callers_other_work() -> None:
    outer = CancelToken()
    stream = TokenStream(outer)
    stream.cancel_token.on_cancel(lambda: stream.fail(cancelled()))
    stream.close()
    assert not outer.cancelled


def test_an_ended_stream_is_forgotten_by_the_callers_token() -> None:
    outer = CancelToken()
    stream = TokenStream(outer)
    stream.finish(DONE)
    outer.cancel()
    assert not stream.cancel_token.cancelled
    alive = weakref.ref(stream)
    del stream
    gc.collect()
    assert alive() is None


def test_nothing_is_lost_between_a_quick_producer_and_a_slow_consumer() -> None:
    stream = TokenStream()
    pieces = [f"{number} " for number in range(5000)]

    def produce() -> None:
        for piece in pieces:
            stream.push(piece)
        stream.finish(Completion("".join(pieces), "stop"))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(produce)
        assert "".join(stream) == "".join(pieces) == stream.completion.text
