"""A visitor's GPU time: when a call must end, and why one was refused, as ZeroGPU's own client says it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from negotiation.app.gpu_time import NO_CALL, Spent, refusal

client = pytest.importorskip("spaces.zero.client")
api = pytest.importorskip("spaces.zero.api")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_turn_begins_only_if_one_as_long_as_the_longest_would_end_in_time() -> None:
    clock = Clock()
    spent = Spent(45, clock)
    allowed = [spent.allows_another_turn()]
    for turn in (5, 15, 5, 5, 5):
        clock.now += turn
        spent.turn_ended()
        allowed.append(spent.allows_another_turn())
    assert allowed == [True, True, True, True, True, False]


def test_the_first_turn_may_begin_however_little_time_there_is() -> None:
    assert Spent(-1, Clock()).allows_another_turn()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that has ZeroGPU's client ask for a GPU, and gives the error that an answer becomes."""
    monkeypatch.setattr(client.utils, "self_cgroup_device_path", lambda: "/pod")
    monkeypatch.setattr(client.config, "get_config", lambda: {"duration_factor": 1.5})  # as on an RTX Pro 6000
    token = "e30.e30.e30"

    def ask(answer: Any, *, signed: bool = True, approval: str | None = None) -> BaseException:
        meta = api.ScheduleMetadata(approve_result=approval)
        monkeypatch.setattr(client, "api_client", lambda: SimpleNamespace(schedule=lambda **_: (answer, meta)))
        request = gr.Request(headers=SimpleNamespace(get={"x-ip-token": token}.get if signed else {}.get))
        with pytest.raises(gr.Error) as caught:
            client.schedule(1, request=request, duration=timedelta(seconds=40))
        error: BaseException = caught.value
        return error

    return ask


def events(*events: str) -> Any:
    return (api.QueueEvent(event=event) for event in events)


@pytest.mark.parametrize(
    ("answer", "more", "said"),
    [
        (
            lambda: api.QuotaInfos(left=12, wait=timedelta(hours=3, minutes=20)),
            {},
            "60 seconds were asked for, and 12 are left of your quota; try again in 3 h 20 min",
        ),
        (lambda: api.QuotaInfos(left=0, wait=timedelta(0)), {}, "you have used up your GPU runs for now"),
        (lambda: api.QuotaInfos(left=0, wait=timedelta(seconds=-1)), {}, "ZeroGPU lends no GPU for that long"),
        (lambda: api.QuotaInfos(left=12, wait=timedelta(1)), {"signed": False}, "it is not known whose quota to use"),
        (
            lambda: api.QuotaInfos(left=12, wait=timedelta(1)),
            {"approval": "pending-overquota-exceeded"},
            "too much of your GPU time is set aside",
        ),
        (lambda: events("failed"), {}, "no GPU became free within a minute"),
        (lambda: events("failed"), {"signed": False}, "no GPU became free within a minute"),
        (lambda: client.httpx.codes.SERVICE_UNAVAILABLE, {}, "no GPU is free at the moment"),
        (lambda: client.httpx.codes.UNAUTHORIZED, {}, "this page has been open for too long"),
    ],
)
@pytest.mark.filterwarnings("ignore:ZeroGPU")
def test_a_refusal_says_in_plain_words_what_zero_gpu_said(
    refused: Any, monkeypatch: pytest.MonkeyPatch, answer: Any, more: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(client, "info", lambda *_, **__: None)
    words = refusal(refused(answer(), **more))
    assert said in words
    for untold in ("http", "<a", "Error", "ZeroGPU client", "[", "Authenticate"):
        assert untold not in words


def test_a_gpu_that_is_taken_back_is_told_as_such() -> None:
    with pytest.raises(gr.Error) as caught:
        raise client.error("ZeroGPU worker error", "GPU task aborted")
    assert "taken back" in refusal(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("/work/secret: denied"), KeyError("x"), OSError(5, "broken")])
def test_no_text_of_another_error_reaches_a_visitor(error: Exception) -> None:
    assert refusal(error) == NO_CALL


def test_the_type_of_an_error_in_the_worker_reaches_no_visitor() -> None:
    assert refusal(client.error("ZeroGPU worker error", "KeyError")) == NO_CALL
