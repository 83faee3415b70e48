"""The scheduling policy: which waiting weights to load next, and which to evict for them.

Pure functions over the tables. The planner and the scheduler enforce the rules (leased weights stay, limits hold,
bypasses are bounded) whatever the policy says.

The loader is the bottleneck, so the aim is to serve many turns per load. Two-sided sessions alternate between two
weights, and a slot is worth most to sessions that have both loaded: without one of them, they stop after a turn. Hence
requests are served first come, first served, at the cost of the weights in least demand. Weights that active sessions
alternate with are evicted only if a load is worth it (`worth_a_load`) or a request is due.
"""

from __future__ import annotations

from manager.config.model_spec import WeightsKey
from manager.scheduling.tables import LeaseTicket, Tables, Weights

BYPASS_BOUND = 8
"""How many younger requests may overtake one that waits for room."""
PATIENCE_LOADS = 5.0
"""A request also becomes due after waiting this many times the load time of its weights."""


def due(tables: Tables, ticket: LeaseTicket) -> bool:
    """Return whether a request may no longer be deferred in favour of weights in use."""
    return ticket.bypassed >= BYPASS_BOUND or tables.now >= patience_ends(tables, ticket)


def patience_ends(tables: Tables, ticket: LeaseTicket) -> float:
    """Return when a waiting request becomes due by time alone."""
    return ticket.since + PATIENCE_LOADS * tables.weights[ticket.weights].load_seconds


def order(tables: Tables) -> list[LeaseTicket]:
    """Return the oldest ticket for each of the waiting weights, in the order in which these should be loaded."""
    oldest: dict[WeightsKey, LeaseTicket] = {}
    for ticket in tables.waiting.values():
        oldest.setdefault(ticket.weights, ticket)
    return sorted(oldest.values(), key=lambda ticket: (not due(tables, ticket), ticket.number))


def victims(tables: Tables, ticket: LeaseTicket, secured: set[WeightsKey]) -> list[Weights]:
    """Return the resident weights that may be evicted for `ticket`, best first.

    The weights in least demand come first, then the least recently used. Weights in use are evicted only for a due
    request, and wanted ones also if that is worth a load. After running out of memory, everything idle is evicted.

    Args:
        ticket: The request that needs room.
        secured: Cold weights whose room is claimed already.
    """
    target = tables.weights[ticket.weights]
    insist = due(tables, ticket)
    waiting = len(tables.waiters(target.key))
    ranked: list[tuple[tuple[bool, int, float], Weights]] = []
    for row in tables.on_device(target.device):
        demand = _demand(tables, row, ticket, secured)
        worthwhile = not row.holders and (target.greedy or worth_a_load(target, waiting, row, demand))
        if (insist or worthwhile) and tables.may_drain(row, ticket):
            ranked.append(((bool(row.holders), demand, row.last_used), row))
    return [row for _, row in sorted(ranked, key=lambda pair: pair[0])]


def worth_a_load(target: Weights, waiting: int, row: Weights, demand: int) -> bool:
    """Return whether `waiting` requests for `target` outweigh the `demand` sessions that want `row` to stay.

    Loading `target` serves `waiting` turns per load. Alternating sessions use `row` every second turn, so keeping it
    serves `demand` turns in the time of two. The higher rate wins, and active sessions win a tie: quick loads happen
    freely, and slow ones wait until enough requests need them. As `row` will have to come back, the longer of the two
    loads counts.
    """
    load_seconds = max(target.load_seconds, row.return_seconds)
    return not demand or waiting * 2 * row.turn_seconds > demand * load_seconds


def _demand(tables: Tables, row: Weights, ticket: LeaseTicket, secured: set[WeightsKey]) -> int:
    """Return how many sessions would miss `row` if it were evicted for `ticket`.

    These are the sessions that wait for it and those about to return to it. The latter are active sessions (being
    served, or with their room secured) and those whose requests are older than the ticket. The ticket's own session
    counts, too, if both weights fit together.
    """
    active = sum(row.key in wanted and until > tables.now for wanted, until in tables.announced.values())
    waiting = returning = 0
    for other in tables.waiting.values():
        waiting += other.weights == row.key
        if other.next_weights == row.key:
            ahead = other.number < ticket.number or tables.has_place(other.weights, secured)
            returning += _fit_together(tables, row, ticket) if other is ticket else ahead
    return active + waiting + returning


def _fit_together(tables: Tables, row: Weights, ticket: LeaseTicket) -> bool:
    """Return whether the ticket's weights fit on the device beside `row` and the pinned weights."""
    pinned = [other for other in tables.on_device(row.device) if other.pinned and other is not row]
    return tables.room(row.device, [row, *pinned]).fits(tables.weights[ticket.weights].need or 0)
