"""Which waiting weights to load next, and at whose cost: the judgement in scheduling, apart from its rules.

Pure functions over the tables. The rules (nothing leased leaves, limits hold, nobody is bypassed without bound)
are kept by the planner and the scheduler whatever is answered here.

The loader is the bottleneck: what counts is how many turns each load serves. Two-sided sessions alternate between
two weights, so a place is worth most to sessions that have both of theirs loaded; taking one of the two from them
stops them after a turn. Hence: first come, first served, at the cost of what is wanted least; but weights that
sessions at work alternate with are taken only where a load is worth it (`worth_a_load`) or a request is due.
"""

from __future__ import annotations

from manager.config.registry import WeightsKey
from manager.scheduling.tables import Tables, Ticket, Weights

BYPASS_BOUND = 8
"""How often younger requests may overtake one that waits for room."""
PATIENCE_LOADS = 5.0
"""A request is due, too, once it waited this many times as long as its weights take to load."""


def due(tables: Tables, ticket: Ticket) -> bool:
    """Whether a request may no longer be put off in favour of weights that are in use."""
    return ticket.bypassed >= BYPASS_BOUND or tables.now >= patience_ends(tables, ticket)


def patience_ends(tables: Tables, ticket: Ticket) -> float:
    """When a waiting request becomes due by time alone."""
    return ticket.since + PATIENCE_LOADS * tables.weights[ticket.weights].load_seconds


def order(tables: Tables) -> list[Ticket]:
    """The oldest ticket of each weights that are waited for, in the order in which they should be loaded."""
    oldest: dict[WeightsKey, Ticket] = {}
    for ticket in tables.waiting.values():
        oldest.setdefault(ticket.weights, ticket)
    return sorted(oldest.values(), key=lambda ticket: (not due(tables, ticket), ticket.number))


def victims(tables: Tables, ticket: Ticket, secured: set[WeightsKey]) -> list[Weights]:
    """Resident weights that may make room for `ticket`, best first; others have `secured` their places already.

    Those with the least demand leave first, then the least recently used. In-use weights are given up only for a
    request that is due, wanted ones for that or where it is worth a load. After running out of memory, everything
    idle is given up.
    """
    target = tables.weights[ticket.weights]
    insist = due(tables, ticket)
    waiting = len(tables.waiters(target.key))
    ranked: list[tuple[tuple[bool, int, float], Weights]] = []
    for row in tables.on_device(target.device):
        demand = _demand(tables, row, ticket, secured)
        at_leisure = not row.holders and (target.greedy or worth_a_load(target, waiting, row, demand))
        if (insist or at_leisure) and tables.may_drain(row, ticket):
            ranked.append(((bool(row.holders), demand, row.last_used), row))
    return [row for _, row in sorted(ranked, key=lambda pair: pair[0])]


def worth_a_load(target: Weights, waiting: int, row: Weights, demand: int) -> bool:
    """Whether `waiting` requests for `target` are worth more than `row`, which `demand` sessions want, is where it is.

    Loading serves `waiting` turns for one load. Sessions that alternate use `row` every second turn, so left alone
    it serves `demand` turns in the time of two. The faster rate wins, and at the same rate those at work go on: quick
    loads are made freely, slow ones are put off until enough wait for them. `row` will have to come back, too, so
    the longer of the two loads counts.
    """
    load_seconds = max(target.load_seconds, row.return_seconds)
    return not demand or waiting * 2 * row.turn_seconds > demand * load_seconds


def _demand(tables: Tables, row: Weights, ticket: Ticket, secured: set[WeightsKey]) -> int:
    """How many would miss `row` if it left for `ticket`: who waits for it, and who is about to come back to it.

    The latter are sessions at work (being served, or with their places secured) and those whose requests are older
    than the ticket. Its own session counts, too, if both could be loaded together.
    """
    at_work = sum(row.key in wanted and until > tables.now for wanted, until in tables.announced.values())
    waiting = coming_back = 0
    for other in tables.waiting.values():
        waiting += other.weights == row.key
        if other.next_weights == row.key:
            ahead = other.number < ticket.number or tables.has_place(other.weights, secured)
            coming_back += _fit_together(tables, row, ticket) if other is ticket else ahead
    return at_work + waiting + coming_back


def _fit_together(tables: Tables, row: Weights, ticket: Ticket) -> bool:
    """Whether the ticket's weights could be loaded beside `row` at all."""
    pinned = [other for other in tables.on_device(row.device) if other.pinned and other is not row]
    return tables.room(row.device, [row, *pinned]).fits(tables.weights[ticket.weights].need or 0)
