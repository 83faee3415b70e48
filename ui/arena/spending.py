"""What the next negotiations cost: prices, the likely cost, what the last ones cost, and the limit on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import gradio as gr
from markupsafe import Markup

from manager.config.model_spec import ModelSpec
from negotiation.agents.purse import LIMIT
from negotiation.app.parley import Parley
from negotiation.comparison.comparison import Players
from negotiation.game.measures import total_cost
from negotiation.live.costs import expected_cost, last_cost
from negotiation.scenario.model import SEATS, Scenario
from ui.kit import account_text as text
from ui.kit.components import Updates
from ui.kit.templates import render
from ui.kit.units import dollars, rough_dollars
from ui.server.visitor import owner_of
from ui.widgets.agent_picker import label_of
from ui.widgets.model_facts import price_words

LEAST, MOST = 0.01, 100.0


class Spending:
    """The line with the costs, built where it is created, and the field of the limit, built by `build_limit`."""

    def __init__(self, parley: Parley) -> None:
        self._parley = parley
        self.line = gr.HTML(elem_id="arena-spending", js_on_load=None)

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
            elem_id="arena-limit",
            min_width=150,
        )

    @property
    def outputs(self) -> list[object]:
        """The components that `show` updates."""
        return [self.line, self.limit]

    def show(self, request: gr.Request, scenario: Scenario, lanes: Sequence[Players]) -> Updates:
        """Return the updates for a set-up; nothing is shown if nobody has to be paid."""
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
        likely = [expected_cost(scenario, agents, paid).most for agents in seated]
        last = [last_cost(self._parley.store, scenario.scenario_id, agents, viewer or "") for agents in seated]
        most, spent = total_cost(likely), total_cost(last)
        return render(
            "arena/spending",
            prices=[text.PRICE_OF.format(name=name, price=price) for name, price in named],
            likely="" if most is None else text.LIKELY_COST.format(cost=rough_dollars(most)),
            last="" if spent is None else text.LAST_COST.format(cost=rough_dollars(spent)),
        )


def limit_of(given: float | None) -> float:
    """Return the limit that was entered, the default for none; raises gr.Error if it is out of range."""
    if given is None:
        return LIMIT
    if not LEAST <= given <= MOST:
        raise gr.Error(text.LIMIT_WRONG.format(least=dollars(LEAST), most=dollars(MOST)), print_exception=False)
    return float(given)
