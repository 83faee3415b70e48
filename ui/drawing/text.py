"""The texts of how two lanes compare: which came out ahead for a side, in the scenario's own terms."""

from __future__ import annotations

VOTE_ASK = "Which lane bargained better for the {role}?"
END_TERMS = "Lane {number} {terms} ({high} points to {low})."
TERMS = {  # (money, more)
    (True, True): "got the {role} {amount} more",
    (True, False): "saved the {role} {amount}",
    (False, True): "got the {role} {amount} more ({title})",
    (False, False): "got the {role} {amount} less ({title})",
}
END_POINTS = "Lane {number} got the {role} {by} more."
END_EQUAL = "Both lanes got the {role} the same: {worth}."
END_SAME_DEAL = "Both lanes made the same deal."
END_NO_DEALS = "No deal in either lane."
END_ONE_DEAL = "Only lane {number} made a deal. It got the {role} {by} more than no deal."
END_WORSE_DEAL = "Only lane {number} made a deal, and no deal would have been better for the {role} by {by}."
END_EVEN_DEAL = "Only lane {number} made a deal, worth no more to the {role} than no deal."
END_ISSUE = "{title}: {first} in lane 1, {second} in lane 2."
LEFT_NOTHING = "Neither lane left anything on the table."
LEFT = "Left on the table: {first} in lane 1, {second} in lane 2."
LEFT_NONE = "nothing"
DECIDED = "Decided in round {round} of lane {number}, where the {role} gave away {cost}."
DECIDED_BY = "Lane {number}: {why}"
