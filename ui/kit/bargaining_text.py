"""The texts about how both sides bargained, as the end of a negotiation shows them."""

from __future__ import annotations

TITLE = "How they bargained"
FIRST = "first offer"
FIRST_ABOUT = "What the side's first offer was worth to it, in points."
GAVE_WAY = "gave way"
GAVE_WAY_ABOUT = "When the side gave up most of what it gave up: early, steadily or late."
EARLY, STEADILY, LATE, NEVER = "early", "steadily", "late", "hardly at all"
STEPS = "asked for more"
STEPS_ABOUT = "How many of the side's offers asked for more than its offer before."
OF = "{count} of {all} times"
BEST = "best possible"
BEST_ABOUT = (
    "What the best response to the other side's script would have gained, and how much more than this side that is."
)
MORE = "{worth} ({more} more)"
BETWEEN = "{low} to {high} points"
REACHED = "{worth}, reached"
UNKNOWN = "–"
ROUND = "Round {round}, {name}"
FOUND = {
    "other_values": "named other values than its offer",
    "wrong_arithmetic": "got a calculation wrong",
    "false_limit": "claimed a limit that is not its own",
    "false_preference": "said something untrue about what it wants",
    "broken_promise": "broke its word on the next turn",
}
NOTHING_FOUND = "Nothing untrue was found in their messages."
FOUND_ABOUT = "Messages are read automatically; at least nine in ten findings are right, and some untruths are missed."
