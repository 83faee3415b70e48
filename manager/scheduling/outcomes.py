"""What follows when a piece of work on weights ended: prepared, loaded, failed, unloaded, parked, trimmed, recovered.

Here bytes that were hoped for become bytes that were measured.
"""

from __future__ import annotations

from manager.errors import Cancelled, OutOfMemory
from manager.scheduling import messages as h
from manager.scheduling.moves import Moves
from manager.scheduling.tables import Weights
from manager.state import State

ANSWERS = "answers"
"""The reason of a server elsewhere with which all is well."""


class Outcomes(Moves):
    """Takes note of the loader's answers."""

    def _answered(self, answer: h.LoaderAnswer) -> None:
        if isinstance(answer, h.Recovered):  # the weights may have been forgotten since
            self.ledger.recover(answer.device, answer.amount)
            return
        row, task = self.weights[answer.weights], self.task
        if not isinstance(answer, h.Prepared | h.PrepareFailed):
            self.task = None
        if isinstance(answer, h.Prepared | h.PrepareFailed | h.Loaded | h.LoadFailed):
            self._work_ended(row)
        match answer:
            case h.Prepared():
                self._prepared(row, answer)
            case h.PrepareFailed(failure=failure):
                row.preparing = False
                self._fail(row, failure)
            case h.Loaded(used=used):
                self._loaded(row, used)
            case h.LoadFailed():
                self._load_failed(row, answer)
            case h.Unloaded(leaked=leaked):
                row.parks = row.parks and not isinstance(task, h.StartPark)  # parking was tried and did not work
                self._copied(row, 0)
                self._left(row, leaked)
            case h.Parked(host=host, leaked=leaked):
                self._copied(row, host)
                self._left(row, leaked)
            case h.Dropped(failure=failure):
                stays = row.account.host + row.account.lost if failure is not None else 0
                self._copied(row, 0)
                row.account.lost = stays
                if row.state is State.PARKED:
                    reason = "its place in host memory was given up"
                    lost = f"its copy in host memory cannot be given up: {failure.message}" if failure else reason
                    self._set(row, State.COLD, lost)
            case h.Trimmed(kept=kept):
                assert isinstance(task, h.StartTrim)
                stuck = kept > task.to_bytes  # then it is not asked again before the weights are loaded anew
                row.account.cache = kept
                row.account.stuck = kept if stuck else min(kept, row.account.stuck)

    def _prepared(self, row: Weights, told: h.Prepared) -> None:
        row.preparing = False
        row.need, row.allowance, row.elsewhere = told.need, told.allowance, told.elsewhere
        row.account.device, row.parks = told.device, told.parking is not None
        if not row.measured:
            row.cold_seconds = told.load_seconds or 0.5 + told.need / 1e9
        if row.elsewhere:
            self._set(row, State.RESIDENT, ANSWERS)
        else:
            self.ledger.adopt(told.device, told.capacity, told.parking)

    def _felt(self, told: h.Felt) -> None:
        """A server elsewhere answered, or did not; what is wrong with it as a whole makes it cool down."""
        row = self.weights[told.weights]
        if row.state is not State.RESIDENT or not row.elsewhere:
            return
        if told.failure is not None and told.cool is not None:
            self._fail(row, told.failure)
            row.retry_at = max(row.retry_at, self.now + told.cool)
            return
        row.failures = 0
        reason = ANSWERS if told.failure is None else f"last error: {told.failure.message}"
        if row.reason != reason:
            self._set(row, State.RESIDENT, reason)

    def _loaded(self, row: Weights, used: int) -> None:
        seconds = max(self.now - row.started, 0.001)
        if row.state is State.WAKING:
            row.wake_seconds = seconds
        else:
            row.cold_seconds, row.measured = seconds, True
        row.account.fixed, row.failures = used, 0
        row.need = max(row.need or 0, used)
        row.aborting = row.restoring = row.greedy = False
        row.last_used = self.now
        self._forgive(row)
        self._set(row, State.DRAINING if row.drain else State.RESIDENT, "loaded")

    def _load_failed(self, row: Weights, told: h.LoadFailed) -> None:
        self._copied(row, told.host)
        row.drain, row.aborting, row.restoring = "", False, False
        self.ledger.vacate(row.key, told.leaked)
        for ticket in self.waiters(row.key):
            ticket.admitted = False
        if told.failure.kind is Cancelled:
            self._forgive(row)
            self._set(row, row.away, "nobody waited for it any more")
        elif told.failure.kind is OutOfMemory and not row.greedy and self.idle(row.device):
            row.greedy = True
            self._set(row, row.away, "out of memory; making more room to try once more")
        else:
            self._fail(row, told.failure)

    def _copied(self, row: Weights, host: int) -> None:
        """The copy of `row` in host memory takes so many bytes; it goes if unloading was asked for meanwhile."""
        row.account.host, row.account.lost = host, 0
        self.discard.pop(row.key, None)
        if host and row.drain == "asked":
            self.discard[row.key] = None

    def _left(self, row: Weights, leaked: int) -> None:
        self.ledger.vacate(row.key, leaked)
        reasons = {"asked": "unloaded", "idle": "not used for a while", "over": "took more memory than was free"}
        reason = reasons.get(row.drain, "made room")
        row.drain = ""
        self._set(row, row.away, reason)
