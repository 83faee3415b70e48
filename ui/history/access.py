"""Stored runs as a visitor may find, see and change them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import gradio as gr

from negotiation.app.parley import Parley
from negotiation.runs.record import Run
from ui.kit import text as shared
from ui.kit.errors import plainly
from ui.server.operator import operators_of
from ui.server.visitor import owner_of, visitor_of


class Access:
    """Runs by id, and the rights of a request. Anyone who has a run's id may look at it."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self._operators = operators_of(parley)

    def runs(self, run_ids: Iterable[str]) -> list[Run]:
        """Return runs by their ids; raises gr.Error if one does not exist."""
        with plainly():
            return [self._parley.store.run(run_id) for run_id in run_ids]

    def run(self, run_ids: Sequence[str], place: int) -> Run:
        """Return the run at a place of those that are shown; raises gr.Error if there is none."""
        if place >= len(run_ids):
            raise gr.Error(shared.UNKNOWN_RUN, print_exception=False)
        return self.runs(run_ids[place : place + 1])[0]

    def lanes(self, request: gr.Request, run_id: str) -> tuple[str, ...]:
        """Return the ids of both lanes if a run is one of two in a comparison, else its own."""
        with plainly():
            lanes = self._parley.store.comparison(run_id, owner_of(request))
        return tuple(run.run_id for run in lanes) if [run.lane for run in lanes] == [1, 2] else (run_id,)

    def sees_all(self, request: gr.Request) -> bool:
        """Return whether a request is the operator's, who finds every run."""
        return self._operators.is_operator(request)

    def may_change(self, request: gr.Request, run: Run) -> bool:
        """Return whether a request may publish or delete a run."""
        own = run.owner is not None and run.owner == owner_of(request)
        return own or self._operators.is_operator(request)

    def owns(self, request: gr.Request, run: Run) -> bool:
        """Return whether a run is that of the visitor who makes a request, who has cookies."""
        return run.owner is not None and run.owner == visitor_of(request)

    def changes_as(self, request: gr.Request) -> str | None:
        """Return the owner whose runs a request may change, or None for the operator, who may change all."""
        if self._operators.is_operator(request):
            return None
        return owner_of(request) or "nobody"

    def voted(self, request: gr.Request) -> set[str]:
        """Return the comparisons that a visitor has voted on."""
        with plainly():
            return {vote.comparison for vote in self._parley.store.votes(voter=owner_of(request) or "")}

    def hides(self, request: gr.Request, runs: Sequence[Run], blind: bool) -> bool:
        """Return whether the agents of the runs shown stay hidden from a visitor who votes blind."""
        comparison = comparison_of(runs)
        return bool(blind) and comparison is not None and comparison not in self.voted(request)


def comparison_of(runs: Sequence[Run]) -> str | None:
    """Return the comparison of which these are the two lanes, or None."""
    if len(runs) != 2 or runs[0].comparison != runs[1].comparison:
        return None
    return runs[0].comparison
