"""Every text of the page that is not about one scenario or model, in one place."""

from __future__ import annotations

TITLE = "Parley"
TAGLINE = "Two language models negotiate. Watch, compare, and see what each deal is really worth."

SCENARIO = "Scenario"
SEED = "Seed"
SEED_INFO = "Same seed, same run"
START = "Start"
STOP = "Stop"
LANE = "Lane {number}"
AGENT = "{name} is played by"
MODELS_HEADING = "— Models —"
STRATEGIES_HEADING = "— Scripted strategies —"
PICK_AN_AGENT = "Lane {number}: pick who plays each role (a heading is not an agent)."

ARENA = "Arena"
HISTORY = "History"
HISTORY_EMPTY = "No negotiation yet. Press Start in the Arena; every run is kept here and under its own link."
HISTORY_COLUMNS = ["When", "Scenario", "Seat a", "Seat b", "Outcome", "Worth to a", "Worth to b", "Link"]
REFRESH = "Refresh"
OPEN = "open"
RUNNING = "running"

EMPTY_LANE = "Nothing here yet. Pick who plays, then press Start."
LINK = "Link to this negotiation"

STATE = {
    "cold": "not loaded",
    "loading": "loading",
    "resident": "ready",
    "draining": "leaving",
    "parked": "parked in host memory",
    "waking": "waking",
    "failed": "failed",
}
STATUS_NONE = "No models are registered."
STATUS_LABEL = "Model status"
DEVICE = "{device}: {loaded} of {most} models, {used}"
DEVICE_BUDGET = "{device}: {loaded} of {most} models, {used} of {budget}"
PARKED = "parked: {used} of {budget} of host memory"
MORE_COLD = "and {count} more not loaded"
QUEUE = "waiting: {names}"
BUSY = "busy × {count}"

PREPARING = "looking for the model's files"
QUEUED = "waiting for a place, number {position} in the queue"
FETCHING = "downloading the model"
LOADING = "loading the model"
WAKING = "copying the model back"
THINKING = "is thinking"
SPEAKING = "is speaking"
ABOUT = "about {seconds} s"
ASKED_AGAIN = "The reply could not be used and was asked for again: {detail}"

THOUGHT = "Private thought"
INSIDE = "Prompt and reply"
PROMPT = "What it was told"
REPLY = "What it wrote"
COST = "{tokens} tokens in {seconds:.1f} s, after a prompt of {prompt} tokens"
NO_MODEL = "A scripted strategy: no prompt, no tokens."
INVALID = "{count} unusable replies before this one"
ROUND = "round {round}"
ACCEPTS = "accepts the offer"
WALKS_AWAY = "walks away"
FORFEITS = "gave no usable reply and forfeits"
WORTH = "worth {utility} to {name}"

DEAL = "Deal"
NO_DEAL = "No deal"
VERDICT_WAITING = "The verdict comes at the end."
VERDICT = {
    "walked_away": "{name} walked away.",
    "deadline": "The last round passed without an agreement.",
}
HALTED = {"stopped": "Stopped", "interrupted": "Interrupted", "failed": "Failed"}
GAINED = "{name} got {utility}, {gain} than no deal ({reservation})."
BETTER, WORSE, SAME = "{by} better", "{by} worse", "no better"
NO_WASTE = "Nothing was left on the table: no other deal is better for one without being worse for the other."
WASTE = "Something was left on the table: {offer} would have been worth {a} to the {name_a} and {b} to the {name_b}."
KEPT = "Each side is left with what no deal is worth: {a} to the {name_a}, {b} to the {name_b}."
IRRATIONAL = "{name} accepted less than walking away would have given."

PLOT_TITLE = "What each offer is worth to both sides"
PLOT_AXIS = "Worth to {name}"
PLOT_LEGEND = {
    "frontier": "best deals",
    "nash": "Nash point",
    "offers": "offers of {name}",
    "deal": "deal",
    "reservation": "no deal",
}
PLOT_EMPTY = "The outcome space appears when a scenario is chosen."

UNKNOWN_RUN = "There is no negotiation under this link. It may have been deleted, or the link is incomplete."
