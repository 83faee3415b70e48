"""Which waiting weights to load next, and at whose cost: the judgement in scheduling, apart from its rules.

Pure functions over the tables. The rules (nothing leased leaves, limits hold, nobody is bypassed without bound)
are kept by the planner and the scheduler whatever is answered here.
"""

from __future__ import annotations

from manager.registry import WeightsKey
from manager.tables import Tables, Ticket, Weights

BYPASS_BOUND = 8
"""How often younger requests may overtake one that waits for room."""
PATIENCE_LOADS = 3.0
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


def victims(tables: Tables, ticket: Ticket) -> list[Weights]:
    """Resident weights that may make room for `ticket`, best first.

    Idle weights that nobody is about to use come first, least recently used first. Weights that are idle for a
    moment (their session speaks with another model and comes back) or in use are given up only for a request that
    is due, those with the least demand first. After running out of memory, everything idle is given up.
    """
    target = tables.weights[ticket.weights]
    insist = due(tables, ticket)
    ranked: list[tuple[tuple[bool, int, float], Weights]] = []
    for row in tables.on_device(target.device):
        demand = tables.demand(row.key)
        at_leisure = not row.holders and (target.greedy or not demand)
        if (insist or at_leisure) and tables.may_drain(row, ticket):
            ranked.append(((bool(row.holders), demand, row.last_used), row))
    return [row for _, row in sorted(ranked, key=lambda pair: pair[0])]
