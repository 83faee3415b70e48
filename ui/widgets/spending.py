"""What the next negotiations cost: prices, the likely cost, what the last ones cost, and the limit on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from manager.config.model_spec import ModelSpec
from negotiation.agents.config import AgentConfig
from negotiation.agents.purse import LIMIT
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.game.measures import total_cost
from negotiation.live.costs import expected_cost, last_cost
from negotiation.scenario.model import SEATS, Scenario, Seat
from ui.kit import account_text as text
from ui.kit.components import Updates
from ui.kit.templates import render
from ui.kit.units import dollars, rough_dollars
from ui.server.visitor import owner_of
from ui.widgets.agent_picker import label_of
from ui.widgets.model_facts import price_words

LEAST, MOST = 0.01, 100.0


class Spending:
    """The line with the costs, built where it is created, and the field of the limit, built by `build_limit`.

    Args:
        parley: The program.
        where: What the ids of its elements begin with.
    """

    def __init__(self, parley: Parley, where: str) -> None:
        self._parley = parley
        self._where = where
        self.line = gr.HTML(elem_id=f"{where}-spending", js_on_load=None)

    def build_limit(self) -> None:
        """Create the field of the limit where it is called; it is shown while somebody who plays has to be paid."""
        self.limit = gr.Number(
            LIMIT,
            label=text.LIMIT,
            info=text.LIMIT_INFO,
            minimum=LEAST,
            maximum=MOST,
            step=0.05,
            visible=False,
            elem_id=f"{self._where}-limit",
            min_width=150,
        )

    @property
    def outputs(self) -> list[object]:
        """The components that `show` updates."""
        return [self.line, self.limit]

    def show(self, request: gr.Request, scenario: Scenario, lanes: Sequence[Players]) -> Updates:
        """Return the updates for a set-up of one or two negotiations; nothing is shown if nobody has to be paid."""
        paid = self._paid(lanes)
        return {
            self.line: self._words(owner_of(request), scenario, lanes, paid) if paid else Markup(""),
            self.limit: gr.update(visible=bool(paid)),
        }

    def _paid(self, lanes: Sequence[Players]) -> dict[str, ModelSpec]:
        """Return the models that have to be paid for, by id."""
        found = (self._parley.catalog.spec(config.agent) for players in lanes for config in players)
        return {spec.model_id: spec for spec in found if spec is not None and (spec.price or spec.credentials)}

    def _words(
        self, viewer: str | None, scenario: Scenario, lanes: Sequence[Players], paid: Mapping[str, ModelSpec]
    ) -> Markup:
        named = ((label_of(spec), price_words(spec.price) or text.PRICE_UNKNOWN) for spec in paid.values())
        seated = [dict(zip(SEATS, players, strict=True)) for players in lanes]
        likely = [expected_cost(scenario, agents, paid) for agents in seated]
        most = total_cost(estimate.most for estimate in likely)
        unpriced = {label_of(paid[name]) for estimate in likely for name in estimate.unpriced}
        said = "" if most is None else text.LIKELY_COST[len(lanes)].format(cost=rough_dollars(most))
        spent = self._last(viewer, scenario, [agents for agents in seated if _plays(paid, agents)])
        return render(
            "spending",
            prices=[text.PRICE_OF.format(name=name, price=price) for name, price in named],
            likely=said and said + (text.UNPRICED.format(names=text.listed(sorted(unpriced))) if unpriced else ""),
            last="" if spent is None else text.LAST_COST.format(cost=rough_dollars(spent)),
        )

    def _last(
        self, viewer: str | None, scenario: Scenario, lanes: Sequence[Mapping[Seat, AgentConfig]]
    ) -> float | None:
        """Return what negotiations like these cost the last time; None unless that is known of all of them."""
        last = [last_cost(self._parley.store, scenario.scenario_id, agents, viewer or "") for agents in lanes]
        return total_cost(last) if None not in last else None


def _plays(models: Mapping[str, ModelSpec], agents: Mapping[Seat, AgentConfig]) -> bool:
    return any(config.agent in models for config in agents.values())


def remembered_limit(memory: Mapping[str, Any]) -> float:
    """Return the limit of a stored setup, the default for none or an impossible one."""
    limit = memory.get("limit")
    possible = isinstance(limit, int | float) and not isinstance(limit, bool) and LEAST <= limit <= MOST
    return float(limit) if possible and limit is not None else LIMIT


def limit_of(given: float | None) -> float:
    """Return the limit that was entered, the default for none; raises gr.Error if it is out of range."""
    if given is None:
        return LIMIT
    if not LEAST <= given <= MOST:
        raise gr.Error(text.LIMIT_WRONG.format(least=dollars(LEAST), most=dollars(MOST)), print_exception=False)
    return float(given)
