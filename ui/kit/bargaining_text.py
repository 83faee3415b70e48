"""The texts about how both sides bargained, as the end of a negotiation shows them."""

from __future__ import annotations

TITLE = "How they bargained"
FIRST = "first offer"
FIRST_ABOUT = "What the side's first offer was worth to it, in points."
GAVE_WAY = "gave way"
GAVE_WAY_ABOUT = "When the side gave up most of what it gave up: early, steadily or late."
EARLY, STEADILY, LATE, NEVER = "early", "steadily", "late", "hardly at all"
STEPS = "asked for more"
STEPS_ABOUT = "How many of the side's offers asked for more than its previous offer."
OF = "{count} of {all} times"
BEST = "best possible"
BEST_ABOUT = (
    "The most that this side could have got against the other side's script, and how much more that is than it got."
)
MORE = "{worth}, {more} more than it got"
BETWEEN = "{low} to {high} points"
REACHED = "{worth}, reached"
UNKNOWN = "–"
ROUND = "Round {round}, {name}"
FOUND = {
    "other_values": "named values that differ from its offer",
    "wrong_arithmetic": "got a calculation wrong",
    "false_limit": "claimed a limit that it does not have",
    "false_preference": "said something untrue about what it wants",
    "broken_promise": "broke its word on the next turn",
}
NOTHING_FOUND = "No untrue statement was found in what models and people wrote."
FOUND_ABOUT = (
    "Messages are read automatically, and only in English. In tests, about nine in ten findings were right; where "
    "untruths are rare, fewer are. Some untruths are missed."
)
