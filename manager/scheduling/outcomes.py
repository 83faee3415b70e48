"""Bookkeeping after the loader's answers: prepared, loaded, failed, unloaded, parked, trimmed, recovered.

Estimated bytes are replaced by measured ones here.
"""

from __future__ import annotations

from manager.errors import Cancelled, OutOfMemory
from manager.scheduling import messages as msg
from manager.scheduling.moves import Moves
from manager.scheduling.tables import Weights
from manager.state import ANSWERS, State

_LEFT = {"asked": "unloaded", "idle": "unloaded after being idle", "over": "unloaded: memory budget exceeded"}
"""Why weights left their device, by the reason for which they drained."""


class Outcomes:
    """Applies the loader's answers, and the health of remote servers, to the tables."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves
        self._tables = moves.tables

    def apply(self, answer: msg.LoaderAnswer) -> None:
        """Update the tables after a piece of the loader's work ended."""
        tables = self._tables
        if isinstance(answer, msg.Recovered):  # its weights may have been forgotten since
            tables.ledger.recover(answer.device, answer.amount)
            return
        row, task = tables.weights[answer.weights], tables.task
        if not isinstance(answer, msg.Prepared | msg.PrepareFailed):
            tables.task = None
        if isinstance(answer, msg.Prepared | msg.PrepareFailed | msg.Loaded | msg.LoadRolledBack):
            self._moves.work_ended(row)
        match answer:
            case msg.Prepared():
                self._prepared(row, answer)
            case msg.PrepareFailed(failure=failure):
                row.preparing = False
                self._moves.fail(row, failure)
            case msg.Loaded(used=used):
                self._loaded(row, used)
            case msg.LoadRolledBack():
                self._rolled_back(row, answer)
            case msg.Unloaded(leaked=leaked):
                row.parks = row.parks and not isinstance(task, msg.StartPark)  # parking was tried and failed
                self._set_copy(row, 0)
                self._left(row, leaked)
            case msg.Parked(host=host, leaked=leaked):
                self._set_copy(row, host)
                self._left(row, leaked)
            case msg.Dropped():
                self._dropped(row, answer)
            case msg.Trimmed(kept=kept):
                assert isinstance(task, msg.StartTrim)
                stuck = kept > task.to_bytes  # not trimmed again before the weights are loaded anew
                row.account.cache = kept
                row.account.stuck = kept if stuck else min(kept, row.account.stuck)

    def report_health(self, report: msg.HealthReported) -> None:
        """Show how a remote server is; a failure of the whole server starts its cool-down."""
        row = self._tables.weights[report.weights]
        if row.state is not State.RESIDENT or not row.remote:
            return
        if report.failure is not None and report.cool is not None:
            self._moves.fail(row, report.failure)
            row.retry_at = max(row.retry_at, self._tables.now + report.cool)
            return
        row.failures = 0
        if report.failure is None:
            row.answered = self._tables.now
        reason = ANSWERS if report.failure is None else f"last error: {report.failure.message}"
        if row.reason != reason:
            self._moves.set_state(row, State.RESIDENT, reason)

    def _prepared(self, row: Weights, found: msg.Prepared) -> None:
        row.preparing = False
        row.need, row.allowance, row.remote = found.need, found.allowance, found.remote
        row.account.device, row.parks = found.device, found.parking is not None
        if not row.measured:
            row.cold_seconds = found.load_seconds or 0.5 + found.need / 1e9
        if row.remote:
            row.answered = self._tables.now
            self._moves.set_state(row, State.RESIDENT, ANSWERS)
        else:
            self._tables.ledger.adopt(found.device, found.capacity, found.parking)

    def _loaded(self, row: Weights, used: int) -> None:
        seconds = max(self._tables.now - row.started, 0.001)
        if row.state is State.WAKING:
            row.wake_seconds = seconds
        else:
            row.cold_seconds, row.measured = seconds, True
        row.account.fixed, row.failures = used, 0
        row.need = max(row.need or 0, used)
        row.aborting = row.restoring = row.greedy = False
        row.last_used = self._tables.now
        self._moves.settle_debts(row)
        self._moves.set_state(row, State.DRAINING if row.drain else State.RESIDENT, "loaded")

    def _rolled_back(self, row: Weights, answer: msg.LoadRolledBack) -> None:
        self._set_copy(row, answer.host)
        row.drain, row.aborting, row.restoring = "", False, False
        self._tables.ledger.vacate(row.key, answer.leaked)
        for ticket in self._tables.waiters(row.key):
            ticket.admitted = False
        if answer.failure.kind is Cancelled:
            self._moves.settle_debts(row)
            self._moves.set_state(row, row.away, "load cancelled: no request was waiting for it")
        elif answer.failure.kind is OutOfMemory and not row.greedy and self._tables.idle(row.device):
            row.greedy = True
            self._moves.set_state(row, row.away, "out of memory; freeing more of it before one retry")
        else:
            self._moves.fail(row, answer.failure)

    def _dropped(self, row: Weights, answer: msg.Dropped) -> None:
        stuck = row.account.host + row.account.lost if answer.failure is not None else 0
        self._set_copy(row, 0)
        row.account.lost = stuck
        if row.state is State.PARKED:
            reason = "its copy in host memory was dropped"
            if answer.failure is not None:
                reason = f"its copy in host memory could not be freed: {answer.failure.message}"
            self._moves.set_state(row, State.COLD, reason)

    def _set_copy(self, row: Weights, host: int) -> None:
        """Charge `host` bytes for the host-memory copy of `row`, to be dropped if `row` was asked to unload."""
        row.account.host, row.account.lost = host, 0
        self._tables.discard.pop(row.key, None)
        if host and row.drain == "asked":
            self._tables.discard[row.key] = None

    def _left(self, row: Weights, leaked: int) -> None:
        self._tables.ledger.vacate(row.key, leaked)
        reason = _LEFT.get(row.drain, "evicted to make room")
        row.drain = ""
        self._moves.set_state(row, row.away, reason)
