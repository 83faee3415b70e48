"""Events folded into spans of time, without a manager."""

from __future__ import annotations

import dataclasses

import pytest

from manager.state import LoadProgress, State
from manager.status.snapshot import Entry, StatusEvent
from manager.status.timeline import Timeline


class Story:
    """A timeline, and a second between its events."""

    def __init__(self, capacity: int = 100) -> None:
        self.timeline = Timeline(capacity)
        self.number = 0

    def tell(
        self,
        kind: str,
        weights: str = "A",
        state: State = State.COLD,
        reason: str = "",
        owner: str | None = None,
        size: int = 0,
        progress: LoadProgress | None = None,
        ticket: int | None = None,
    ) -> None:
        self.number += 1
        event = StatusEvent(
            number=self.number,
            at=float(self.number),
            kind=kind,
            weights=weights,
            model_ids=(weights.lower(),),
            state=state,
            reason=reason,
            owner=owner,
            bytes=size,
            progress=progress,
            ticket=ticket,
        )
        self.timeline.record(event)

    def spans(self) -> list[tuple[str, float, float | None, str]]:
        return [(entry.kind, entry.begun, entry.ended, entry.outcome) for entry in self.timeline.entries]


def test_a_load_lasts_from_its_state_to_the_next() -> None:
    story = Story()
    story.tell("state", state=State.LOADING, reason="requested", size=5)
    assert story.spans() == [("load", 1, None, "")]
    story.tell("progress", state=State.LOADING, progress=LoadProgress("loading", 1, 7, 0.1))
    story.tell("state", state=State.RESIDENT, reason="loaded", size=7)
    (entry,) = story.timeline.entries
    assert entry == Entry(
        number=1,
        kind="load",
        weights="A",
        model_ids=("a",),
        owner=None,
        begun=1,
        ended=3,
        bytes=7,
        reason="requested",
        outcome="loaded",
    )


def test_an_unload_names_its_reason_and_ends_when_the_weights_are_gone_or_stay() -> None:
    story = Story()
    story.tell("state", state=State.DRAINING, reason="making room for B", size=5)
    story.tell("state", state=State.RESIDENT, reason="eviction cancelled", size=5)
    story.tell("state", state=State.DRAINING, reason="unload requested", size=5)
    story.tell("state", state=State.COLD, reason="unloaded")
    assert story.spans() == [("unload", 1, 2, "eviction cancelled"), ("unload", 3, 4, "unloaded")]
    assert [entry.reason for entry in story.timeline.entries] == ["making room for B", "unload requested"]
    assert [entry.bytes for entry in story.timeline.entries] == [5, 5]


def test_waking_and_loading_are_distinct() -> None:
    story = Story()
    story.tell("state", state=State.WAKING)
    story.tell("state", state=State.RESIDENT)
    assert story.spans() == [("wake", 1, 2, "")]


def test_a_failure_ends_the_load_and_is_an_entry_of_its_own() -> None:
    story = Story()
    story.tell("state", state=State.LOADING)
    story.tell("state", state=State.FAILED, reason="out of memory")
    story.tell("state", weights="B", state=State.FAILED, reason="no such repository")
    assert story.spans() == [("load", 1, 2, "out of memory"), ("failure", 2, 2, ""), ("failure", 3, 3, "")]
    assert [entry.reason for entry in story.timeline.entries][1:] == ["out of memory", "no such repository"]


@pytest.mark.parametrize(("end", "outcome"), [("granted", "granted"), ("refused", "waited 600 s")])
def test_a_wait_lasts_from_the_request_to_its_end_and_says_who(end: str, outcome: str) -> None:
    story = Story()
    story.tell("waiting", owner="lane 1", ticket=1)
    story.tell("waiting", owner="lane 2", ticket=2)
    story.tell(end, owner="lane 1", ticket=1, reason="" if end == "granted" else outcome)
    assert story.spans() == [("wait", 1, 3, outcome), ("wait", 2, None, "")]
    assert [entry.owner for entry in story.timeline.entries] == ["lane 1", "lane 2"]


def test_what_was_granted_at_once_is_no_wait() -> None:
    story = Story()
    story.tell("granted", ticket=1)
    story.tell("released", ticket=1)
    assert story.spans() == []


@pytest.mark.parametrize("end", ["measured", "state", "progress"])
def test_a_download_lasts_while_its_progress_is_reported(end: str) -> None:
    story = Story()
    for done in (0, 5, 9):
        story.tell("progress", progress=LoadProgress("fetching", done, 10, 1.0))
        story.tell("waiting", owner="lane 2", ticket=done, progress=LoadProgress("fetching", done, 10, 1.0))
    story.tell(end, state=State.FAILED if end == "state" else State.COLD, reason="gone" if end == "state" else "")
    fetch = story.timeline.entries[0]
    assert (fetch.kind, fetch.begun, fetch.ended, fetch.bytes) == ("fetch", 1, 7, 10)
    assert fetch.outcome == ("gone" if end == "state" else "")


def test_the_oldest_that_ended_are_forgotten_first() -> None:
    story = Story(capacity=3)
    story.tell("waiting", weights="W", ticket=1)
    for _ in range(10):
        story.tell("state", state=State.LOADING)
        story.tell("state", state=State.RESIDENT)
    assert [entry.begun for entry in story.timeline.entries] == [1, 16, 18, 20]


def test_entries_do_not_change_and_are_made_once() -> None:
    story = Story()
    story.tell("waiting", ticket=1)
    before = story.timeline.entries
    assert story.timeline.entries is before
    story.tell("granted", ticket=1)
    assert before[0].ended is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        before[0].ended = 1.0  # type: ignore[misc]
