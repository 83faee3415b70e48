"""The texts of the Play tab."""

from __future__ import annotations

# setting up and controls
SEAT = "Your role"
OPPONENT = "Against"
BEGIN = "Negotiate"
BEGIN_AGAIN = "Negotiate again"
PICK_OPPONENT = "Choose an opponent first."
NOT_PLAYING = "This negotiation has ended, or it belongs to someone else."
REPLAY_LINK = "Replay link"

# what the person wants
PREFERENCES = "What you want (hidden from the other side)"
SIDES = "Your role: {name}. The other side: {other}."
WORTH = (
    "The points of the options you agree on add up to what a deal is worth to you: from 0 to 100. "
    "Without a deal you get {reservation}."
)
DISCOUNT = "Each round that passes takes {share:.0%} off the worth of a deal."
PREFERENCES_LABEL = "What each option is worth"
OPTION = "Option"
NO_DEAL_ROW = "no deal"
UP_TO = "up to {points}"

# the form
FORM_LABEL = "Your offer"
MESSAGE = "Your message"
MESSAGE_HINT = "Optional. The other side reads this."
MAKE_OFFER = "Make this offer"
ACCEPT = "Accept their offer"
WALK_AWAY = "Walk away"
WALK_AWAY_SURE = "Press again to walk away"
OFFER_WORTH = "What this offer would be worth to you"
OFFER_INCOMPLETE = "This offer is incomplete: a number is missing or is not one of the allowed values."
WORTH_NOW = "Agreed in round {round}, it would be worth {worth} points."

# the end of the rounds
RULES = {
    "a": (
        "You speak first in each of the {rounds} rounds, so {other} has the last word: after your offer in round "
        "{rounds} they accept, or there is no deal. You cannot answer what they offer then."
    ),
    "b": (
        "You speak second in each of the {rounds} rounds, so you have the last word: after their offer in round "
        "{rounds} you accept, or there is no deal."
    ),
}
LAST_WORD = "Your last word: accept, or there is no deal."
LAST_OFFER = {
    "a": "Your last offer: now the other side accepts, or there is no deal.",
    "b": "Your last offer: in the next round you can only accept their offer, or there is no deal.",
}

# the reveal
COACHING = "What to try next time"
COACHING_ABOUT = (
    "The turns that cost you most, and what you could have got in each, had everything before stayed the same."
)
COACHING_NOTHING = "You could not have done better in any of your turns. Well played."
LESSON_ROUND = "Round {round}."
LESSON_WORTH = "Worth {worth} to you, {cost} more than you got in the end."
LESSONS = {  # by what was better, and what the person did
    ("table", "offer"): "You turned this offer down.",
    ("table", "walk_away"): "You walked away from this offer.",
    ("certain", "offer"): "They would have accepted this instead of what you offered:",
    ("certain", "accept"): "You accepted, though they would have accepted this:",
    ("certain", "walk_away"): "You walked away, though they would have accepted this:",
    ("likely", "offer"): "This would have been worth as much to them as what they wanted next:",
}
OTHER_SIDE = "What the other side wanted"
OTHER_SIDE_ABOUT = "The points that each option added to a deal, for you and for them."
BRIEFING = "Briefing of the other side ({name}):"
REGRET = "What each of your turns cost you"
REGRET_ABOUT = (
    "Regret is what a turn gave away, in points: the worth to you of the best deal that the other side could still "
    "have accepted, minus the worth of what your turn asked for or took. Below zero, you asked for more than they "
    "could accept."
)
REGRET_COLUMNS = ("Round", "Your turn", "Worth to you", "Regret")
ACTS = {"offer": "made an offer", "accept": "accepted their offer", "walk_away": "walked away"}
YOU = "you"
BASELINES = "How would a scripted strategy have done?"
BASELINES_ABOUT = (
    "Each scripted strategy has just played your seat with the same seed ({seed}) against the same opponent: "
    "{opponent}. Worth is in points, after discounting."
)
BASELINE_COLUMNS = ("In your seat", "Deal", "Worth to you", "Worth to them")
REFERENCES = "Which deals does theory single out?"
REFERENCES_ABOUT = (
    "Your opponent was not a script, so no strategy could be played against it for comparison. These are the deals "
    "that bargaining theory singles out in this scenario; worth is in points, before discounting."
)
REFERENCE_COLUMNS = ("Point", "Deal", "Worth to you", "Worth to them")
REFERENCE_POINTS = {
    "nash": "Nash point: the largest product of both sides' gains over no deal",
    "kalai_smorodinsky": "Kalai-Smorodinsky point: both sides get the same share of the most they could gain",
    "egalitarian": "Egalitarian point: the side that gains less gains as much as possible",
    "max_welfare": "Largest sum of what both sides get",
}
