"""Keep the analysers of the scenarios used last, since a tournament or a gym plays one scenario many times."""

from __future__ import annotations

import threading
from collections import OrderedDict

from negotiation.scenario.analysis import Analyser
from negotiation.scenario.model import Scenario

MOST_OUTCOMES = 300_000
"""Outcomes of all kept scenarios together; each takes some 50 bytes."""


class Analysers:
    """Analysers by scenario object. An analyser keeps its scenario alive, so no other object gets its id meanwhile."""

    def __init__(self, most_outcomes: int = MOST_OUTCOMES) -> None:
        self._most_outcomes = most_outcomes
        self._kept: OrderedDict[int, Analyser] = OrderedDict()
        self._outcomes = 0
        self._lock = threading.Lock()

    def of(self, scenario: Scenario) -> Analyser:
        """Return the analyser of a scenario, the one from before if it is still kept."""
        with self._lock:
            if (kept := self._kept.get(id(scenario))) is not None:
                self._kept.move_to_end(id(scenario))
                return kept
        made = Analyser(scenario)
        with self._lock:
            if id(scenario) not in self._kept:
                self._kept[id(scenario)] = made
                self._outcomes += len(made.space)
            while self._outcomes > self._most_outcomes and len(self._kept) > 1:
                self._outcomes -= len(self._kept.popitem(last=False)[1].space)
        return made


_shared = Analysers()


def analyser_of(scenario: Scenario) -> Analyser:
    """Return the analyser of a scenario, shared within this process."""
    return _shared.of(scenario)
