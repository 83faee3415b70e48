"""The texts of shared runs: on the picture, in link previews, in transcripts, and on the buttons."""

from __future__ import annotations

# the buttons and the window with the picture
TRANSCRIPT = "Copy transcript"
CARD = "Share card"
CARD_ALT = "The scenario, the result, and the path of offers on both sides, as a picture"
CARD_SAVE, CARD_COPY, CARD_SEND = "Save picture", "Copy picture", "Send…"
BLOCKED = "Your browser blocks copying"

# what one run or two lanes came to, in a sentence
WORTHS = "The {a} got {worth_a}, the {b} {worth_b}."
DEAL = "Deal in round {round}"
LANES = "Lane 1: {first}. Lane 2: {second}."
HIDDEN = "Names and points stay hidden until you vote."
HIDDEN_AGENT, A_PERSON = "hidden", "a person"

# link previews
SIDES = "{a} ({agent_a}) against {b} ({agent_b})."
UNKNOWN = "No negotiation was found at this link"
UNKNOWN_ABOUT = "It may have been deleted, or the link is incomplete."

# transcripts
ROUND = "Round {round}"
SAYS, OFFERS, OFFERS_SILENTLY = "{role}: {words}", "  Offer: {offer}", "{role} offers {offer}"
WORTH = "(worth {worths})"
WORTH_TO = "{worth} to the {role}"

# refusals
BUSY = "Too many pictures are being drawn at the moment. Try again in a minute.\n"

# the Space's thumbnail
THUMBNAIL = "Two language models negotiate. Watch them side by side, and see what every offer is worth."
