"""Texts that several parts of the page share. A tab's own texts are in its package."""

from __future__ import annotations

TITLE = "Parley"
TAGLINE = "Two language models negotiate. Watch, compare, and see what each deal is really worth."
THEMES = {"auto": "Colours: system", "light": "Colours: light", "dark": "Colours: dark"}
OFFLINE = "The server is not responding. This page may be out of date; it reconnects automatically."
UNEXPECTED = "Something went wrong on the server, and the error has been logged. Please try again."
INTERNAL = "an unexpected error, which is in the server's log"
NO_CHOICE = "{value} is not on the list (any more). Reload the page and choose again."

ARENA = "Arena"
PLAY = "Play"
HISTORY = "History"
MODELS = "Models"

# the model status strip
STATUS_LABEL = "Model status"
STATUS_NONE = "No models are registered."
STATUS_DETAILS = "Details"
STATE = {
    "cold": "not loaded",
    "loading": "loading",
    "resident": "ready",
    "draining": "unloading",
    "parked": "parked in host memory",
    "waking": "waking",
    "failed": "failed",
}
DEVICE = "{device}: {loaded} of {most} models, {used}"
DEVICE_BUDGET = "{device}: {loaded} of {most} models, {used} of {budget}"
MORE_COLD = "{count} more not loaded"
ANSWERS = "responding"
ANSWERED = "last answer {ago} ago"
PLACED = "placed"
ON_GPU = "on a GPU × {count}"
GPU_TIME = "This Space's GPU time is yours: about 5 minutes a day without PRO, 40 with it, 2 without an account"
GPU_TIME_ABOUT = (
    "ZeroGPU lends a GPU to each negotiation and counts the time against your own quota for the day, not the Space's. "
    "To use that of your account, open the Space on huggingface.co, signed in. Who asks for more seconds than are left "
    "gets none."
)
ZERO_GPU = "ZeroGPU: models are placed when the Space starts, and each negotiation gets a GPU for its time."
AGAIN_IN = "{state}, next try in {seconds:.0f} s"
QUEUE = "waiting: {names}"
CLOSING = "The server is restarting: nothing new can start"
BUSY = "busy × {count}"
PARKED = "parked: {used} of {budget} of host memory"

# how fast turns become visible
PACE = "Speed"
PACE_ABOUT = "How fast scripted turns and recordings appear. It changes nothing about what happens."
PACES = {"slow": "Slow", "normal": "Normal", "fast": "Fast", "instant": "Instant"}

# what a lane shows
STATUS_READY, STATUS_WAITING = "Ready", "Waiting"
STATUS_ROUND = "Round {round} of {rounds}"
LANE = "Lane {number}"
AGENT = "{name} is played by"
SCENARIO = "Scenario"
STOP = "Stop"
CONTINUE = "Continue"
NOT_YOURS = "Only the person who started a negotiation can continue it."
COPY, COPIED = "Copy link", "Copied"
RAN_WITH = "Seed {seed}"
EMPTY_LANE = "The conversation appears here."
PREPARING = "looking for the model's files"
QUEUED = "waiting for the model, number {position} in the queue"
VISITORS_FIRST = "Waiting to start: {visitors} ahead of you"
NEXT = "Waiting to start: you are next"
AFTER_OWN = "Waiting to start: after your other negotiation"
OWN_FIRST = "Waiting for one of your other negotiations to end"
FETCHING = "downloading the model"
LOADING = "loading the model"
WAKING = "moving the model back to the GPU"
WAITING_FOR_GPU = "waiting for a GPU (asking for up to {seconds} s of your GPU time)"
GPU_TIME_USED = "{seconds} s used so far"
THINKING = "is thinking"
SPEAKING = "is speaking"
BYTES = "{done} of {total}"
ABOUT = "about {time}"
ASKED_AGAIN = "The reply was unusable, so the model was asked again: {detail}"
THOUGHT = "Private thought"
INSIDE = "Prompt and reply"
PROMPT = "Prompt"
REPLY = "Raw reply"
COST = "{tokens} tokens in {seconds:.1f} s, after a prompt of {prompt} tokens"
ESTIMATED = "Token counts are estimated: the server did not report them."
PRICE = "Model cost: {cost}"
COST_IN_ALL = "Both sides together cost {cost}."
HELD = {
    "schema": "The server got a JSON schema of the legal replies; everything else was checked when the reply was read.",
    "json": "The server was asked for JSON only; everything else was checked when the reply was read.",
    "grammar": "A grammar limited the reply to legal moves while it was written.",
    "": "Nothing constrained the reply while it was written; it was parsed strictly.",
}
YOUR_TURN = "It is your turn."
PERSON_THINKS = "The player is deciding."
INVALID = "Unusable replies before this one: {count}"
ROUND = "round {round}"
ACCEPTS = "accepts the offer"
WALKS_AWAY = "walks away"
FORFEITS = "gave no usable reply and forfeits"
WORTH = "Worth in points (of 100): {worths}"
WORTH_TO = "{worth} to {name}"
UNFINISHED = "Stopped here. This message is unfinished."
NEWER = "New messages ↓"
CUT = "The message was cut off here: it reached the maximum length."
BEFORE = "before"
SAME_OFFER = "Same offer as before."
TOO_LATE = "The rounds ended with this offer, so nobody could answer it."

# what is on the table, and the verdict
TABLE_LABEL = "On the table"
TABLE = "On the table: {name}'s offer from round {round} of {rounds}"
TABLE_LAST = "last round"
TABLE_EMPTY = "Nothing on the table yet."
TABLE_BEFORE = (
    "{rounds} rounds to agree, or there is no deal. Worth is shown in points, from 0 to 100 (everything a side wants)."
)
BAR_HINT = "Points from 0 to 100 (everything this side wants). The mark shows what no deal is worth: {reservation}"
NO_DEAL_IS = "no deal: {reservation}"
LIKE_NO_DEAL = "the same as no deal"
ABOVE, BELOW = "{by} above no deal", "{by} below no deal"
DEAL = "Deal"
IN_ROUND = "in round {round}"
NO_DEAL = "No deal"
VERDICT = {
    "walked_away": "{name} walked away.",
    "deadline": "The last round ended without an agreement.",
}
NO_DEAL_ABOUT = "Each side gets what no deal is worth to it."
HALTED = {"stopped": "Stopped", "interrupted": "Interrupted", "failed": "Failed"}
RUN_GONE = "Deleted"
RUN_GONE_ABOUT = "Its owner deleted this negotiation. What this page still shows disappears when you leave it."
IRRATIONAL = "{name} accepted less than no deal is worth to it."
NO_WASTE = "No other deal would have been better for one side without being worse for the other."
WASTE = "Missed: {offer} would have been worth {a} to {name_a} and {b} to {name_b}."
COSTLIEST = "Costliest turn: in round {round}, {name} gave away {cost}."

# plots
PLOT_TITLE = "What each offer is worth to both sides"
PLOT_AXIS = "points for {name}"
PLOT_LEGEND = {
    "frontier": "best deals",
    "nash": "balanced (Nash)",
    "offers": "{name}",
    "deal": "deal",
    "reservation": "no deal",
}
FRONTIER_ABOUT = "Pareto frontier: deals that cannot be improved for one side without making them worse for the other."
NASH_ABOUT = (
    "Nash point: the deal with the largest product of both sides' gains over no deal, a common yardstick for a fair "
    "split."
)
RESERVATION_ABOUT = "What each side gets without a deal. A deal below this line is worse than walking away."
REGRET_ABOUT = (
    "Measured by regret: how much more a side could have got from the best deal that the other side could still accept."
)
PLOT_POINT = "{name} in round {round}: {a}, {b}"
ROUNDS_TITLE = "What each side asks for itself, round by round"
ROUNDS_AXIS = "round"
ROUNDS_Y = "points for itself"
ROUNDS_LEGEND = {"asks": "{name} asks", "given": "is offered"}
PLOT_HIDDEN = "Hidden for now."

# the list of runs
HISTORY_NONE = "No negotiations match these filters."
HISTORY_COLUMNS = ["When", "Scenario", "Side a", "Side b", "Outcome", "Worth to a", "Worth to b", "View"]
STATUS_RUNNING = "Running"
ENDINGS = {"walked_away": "one side walked away", "deadline": "no agreement by the last round"}
OPEN = "open"
REPLAY = "replay"
BESIDE = "compare"
FORKED_AFTER = "forked after turn {turns}"
IS_PUBLISHED = "published"
HIDDEN_AGENT = "hidden until you vote"

# the timeline of models
TIMELINE = "Recent loads, waits and unloads"
TIMELINE_EMPTY = "Nothing was loaded or waited for in the last half hour."
TIMELINE_WORDS = "In words, latest first"
NOW, AGO = "now", "{time} ago"
SPANS = {
    "fetch": "download",
    "load": "load",
    "wake": "wake",
    "unload": "unload",
    "wait": "wait",
    "failure": "failure",
}
TOOK, GOES_ON = "took {time}", "for {time} so far"

UNKNOWN_RUN = "No negotiation was found at this link. It may have been deleted, or the link is incomplete."

# agents and their settings
YOU = "you"
PROGRAM = "a program"
SCRIPTED = "scripted"
GROUPS = {
    "ready": "ready here",
    "remote": "served remotely",
    "download": "needs a download",
    "account": "served remotely, on your account",
}
"""The headings of pick lists in styles/base.css go by these words."""
LOADED = "loaded"
EMBEDDED = "included with Parley"
DOWNLOAD = "needs a download of {size}"
MEMORY = "{memory} of memory"
PRICE_PER_MILLION = "{input} in, {output} out per million tokens"
UNUSABLE = "{name} {reason}."
UNUSABLE_ALL = "{count} models cannot be used here now"
UNUSABLE_ONE = "One model cannot be used here now"
GONE = "This agent is no longer available here."
SETTINGS = "Settings"
SETTINGS_OF = "Settings for {name} (models only)"
NARRATES = "Who decides"
NARRATES_INFO = "A strategy can decide while the model only finds the words."
DECIDES_ITSELF = "the model itself"
GUARD = "Guard rail"
GUARD_INFO = "Limits what the model can reply."
GUARDS = {
    "legal": "legal moves only",
    "rational": "legal, and nothing worse than no deal",
    "free": "none: replies are parsed strictly",
}
TEMPERATURE = "Temperature"
TEMPERATURE_INFO = "0 always picks the most likely words. Leave empty for the model's default."
PERSONA = "Manner"
PERSONA_INFO = "a friendly old trader who hates haggling"
HINT = "Plan"
HINT_INFO = "open high, then give in slowly"
LANGUAGE = "Language"
LANGUAGE_INFO = "English, français, 日本語"
CALCULATOR = "Knows what each offer is worth to it"
CALCULATOR_INFO = "Otherwise it has to work that out itself."
RETRIES = "Retries"
RETRY = "Retry message"
RETRY_KINDS = {"specific": "says what was wrong", "blind": "gives no reason"}
THINKING_ROOM = "Room to think (characters)"
THINKING_INFO = "For reasoning models. 0 turns it off."
_CHOSEN = {
    "narrates": "speaks for {value}",
    "temperature": "temperature {value:g}",
    "persona": "manner: {value}",
    "hint": "plan: {value}",
    "language": "in {value}",
    "retries": "retries: {value}",
    "thinking": "thinks up to {value} characters",
}


def all_cold(count: int) -> str:
    """Say that no model has been used yet."""
    if count == 1:
        return "One model loads on first use"
    return f"{count} models load on first use"


def chosen(key: str, value: object) -> str:
    """Return a changed setting in a few words."""
    if key == "calculator":
        return "does not know what offers are worth"
    if key == "guard":
        return f"guard rail: {GUARDS[str(value)]}"
    if key == "retry":
        return f"retry {RETRY_KINDS[str(value)]}"
    return _CHOSEN.get(key, key + ": {value}").format(value=value)


# scenarios
FACTS = "{issues} to settle · {outcomes:,} possible deals · {rounds} rounds"
ONE_ISSUE, ISSUES = "one issue", "{count} issues"
SCENARIOS = "Scenarios"
SCENARIO_GONE = "This scenario is no longer available here. Pick another."
VERSUS = " and "
EDIT = "Write or edit"
OWN_TITLE = "Your own scenario"
OWN_ABOUT = (
    "Change this scenario or write a new one: the issues to settle, and what each option is worth to each side. "
    "Problems and the outcome space update as you type."
)
OWN_LABEL = "Scenario (YAML)"
OWN_WHERE = "your scenario"
OWN_USE = "Use this scenario"
OWN_LISTED = "{title} (yours)"
OWN_EMPTY = "Write, paste or upload a scenario. Problems appear here."
OWN_BROKEN = "This scenario cannot be negotiated yet"
OWN_FOUND = "This scenario can be negotiated, but"
OWN_FINE = "No problems found."
UPLOAD = "Upload a file"
UPLOAD_BAD = "{name} is not a UTF-8 text file of at most {most:,} characters."
CLOSE = "Close"

INTERVAL_TITLE = "Difference per negotiation: {mean}, 95 % interval {low} to {high}"


def visitors(count: int) -> str:
    """Return a number of visitors in words."""
    return "one visitor" if count == 1 else f"{count:,} visitors"


def problems(where: str, count: int) -> str:
    """Return how many problems something has, before they are listed."""
    return f"{where} has {'a problem' if count == 1 else f'{count} problems'}:"


def more_problems(count: int) -> str:
    """Return how many problems are not listed."""
    return "and one more" if count == 1 else f"and {count} more"
