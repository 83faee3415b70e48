"""Every text of the page that is not about one scenario or model, in one place."""

from __future__ import annotations

TITLE = "Parley"
TAGLINE = "Two language models negotiate. Watch, compare, and see what each deal is really worth."
THEMES = {"auto": "Colours: system", "light": "Colours: light", "dark": "Colours: dark"}
OFFLINE = "The server does not answer. What you see may be out of date; the page goes on by itself when it is back."

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
    "draining": "leaving",
    "parked": "parked in host memory",
    "waking": "waking",
    "failed": "failed",
}
DEVICE = "{device}: {loaded} of {most} models, {used}"
DEVICE_BUDGET = "{device}: {loaded} of {most} models, {used} of {budget}"
ALL_COLD = "{count} models, not loaded: one is loaded when it is first needed"
MORE_COLD = "{count} more not loaded"
ANSWERS = "answers"
PLACED = "placed"
LENT = "a GPU is lent × {count}"
ZERO_GPU = "ZeroGPU: models are placed when the Space starts; a GPU is lent for each negotiation."
AGAIN_IN = "{state}, left alone for {seconds:.0f} s"
QUEUE = "waiting: {names}"
CLOSING = "The server is being restarted: nothing new begins"
BUSY = "busy × {count}"
PARKED = "parked: {used} of {budget} of host memory"

# setting up
SCENARIO = "Scenario"
FACTS = "{issues} to settle · {outcomes:,} possible deals · {rounds} rounds"
ONE_ISSUE, ISSUES = "one issue", "{count} issues"
SEED = "Seed"
SEED_INFO = "Decides every chance; left empty, one is drawn."
SEED_WRONG = "The seed must be a whole number between {low:,} and {high:,}."
START = "Start"
STOP = "Stop"
SWAP = "Swap seats"
SUSPENSE = "Keep what offers are worth hidden until the end"
LANE = "Lane {number}"
AGENT = "{name} is played by"
SCRIPTED = "scripted"
LOADED = "loaded"
PICK_AN_AGENT = "Lane {number}: pick who plays each role."
LINK = "Link to this negotiation"
COPY, COPIED = "Copy link", "Copied"
RAN_WITH = "Seed {seed}"

# what a lane shows
EMPTY_LANE = "What is said appears here."
PREPARING = "looking for the model's files"
QUEUED = "waiting for a place, number {position} in the queue"
VISITORS_FIRST = "Waiting for your turn: {visitors} before you"
NEXT = "Waiting for your turn: you are next"
AFTER_OWN = "Waiting for your turn: after your other negotiation"
OWN_FIRST = "Waiting for one of your other negotiations to end"
FETCHING = "downloading the model"
LOADING = "loading the model"
WAKING = "copying the model back"
LENDING = "waiting for a GPU to be lent"
THINKING = "is thinking"
SPEAKING = "is speaking"
BYTES = "{done} of {total}"
ABOUT = "about {time}"
ASKED_AGAIN = "The reply could not be used and was asked for again: {detail}"
THOUGHT = "Private thought"
INSIDE = "Prompt and reply"
PROMPT = "What it was told"
REPLY = "What it wrote"
COST = "{tokens} tokens in {seconds:.1f} s, after a prompt of {prompt} tokens"
ESTIMATED = "The tokens are estimated: the server did not count them."
PRICE = "Price: {cost}"
COST_IN_ALL = "What both wrote cost {cost}."
HELD = {
    "schema": "The server was given a JSON schema of the legal replies; all else was checked when the reply was read.",
    "json": "The server was asked for JSON only; the rest was checked when the reply was read.",
    "grammar": "The reply was held to a grammar while it was written.",
    "": "The reply was held to nothing while it was written, and was read strictly.",
}
NO_MODEL = "A scripted strategy: no prompt, no tokens."
NO_MODEL_PERSON = "A person: no prompt, no tokens."
YOUR_TURN = "It is your turn."
PERSON_THINKS = "A person makes up their mind."
INVALID = "{count} unusable replies before this one"
ROUND = "round {round}"
ACCEPTS = "accepts the offer"
WALKS_AWAY = "walks away"
FORFEITS = "gave no usable reply and forfeits"
WORTH = "worth {utility} to {name}"
CUT = "The message ended here: it had reached the greatest length allowed."
BEFORE = "before"
SAME_OFFER = "The same offer again."

# what is on the table, and the verdict
TABLE_LABEL = "On the table"
TABLE = "On the table: {name}'s offer of round {round} of {rounds}"
TABLE_LAST = "last round"
TABLE_EMPTY = "Nothing on the table yet."
TABLE_BEFORE = (
    "{rounds} rounds to agree, or there is no deal. Worth is counted from 0 (nothing) to 1 (everything wanted)."
)
BAR_HINT = "From 0 (nothing) to 1 (everything wanted). The mark is what no deal is worth: {reservation}"
NO_DEAL_IS = "no deal: {reservation}"
LIKE_NO_DEAL = "the same as no deal"
ABOVE, BELOW = "{by} above no deal", "{by} below no deal"
DEAL = "Deal"
IN_ROUND = "in round {round}"
NO_DEAL = "No deal"
VERDICT_WAITING = "The verdict comes at the end."
VERDICT = {
    "walked_away": "{name} walked away.",
    "deadline": "The last round passed without an agreement.",
}
KEPT = "Each side is left with what no deal is worth to it."
HALTED = {"stopped": "Stopped", "interrupted": "Interrupted", "failed": "Failed"}
RUN_GONE = "Deleted"
RUN_GONE_ABOUT = "Its owner deleted it. It is kept nowhere any more; what is left on this page goes with the page."
IRRATIONAL = "{name} accepted less than walking away would have given."
NO_WASTE = "No other deal would have been better for one side without being worse for the other."
WASTE = "Left on the table: {offer} would have been worth {a} to the {name_a} and {b} to the {name_b}."
COSTLIEST = "The turn that cost most: in round {round} {name} gave away {cost}."

# plots
PLOT_TITLE = "What each offer is worth to both sides"
PLOT_AXIS = "worth to {name} (0 to 1)"
PLOT_LEGEND = {
    "frontier": "best deals",
    "nash": "Nash point",
    "offers": "{name}",
    "deal": "deal",
    "reservation": "no deal",
}
PLOT_POINT = "{name} in round {round}: {a} and {b}"
ROUNDS_TITLE = "What each side asks for itself, round by round"
ROUNDS_AXIS = "round"
ROUNDS_Y = "worth to itself"
ROUNDS_LEGEND = {"asks": "{name} asks", "given": "is offered"}
PLOT_HIDDEN = "Hidden until the end."

# the list of runs
HISTORY_NONE = "No negotiation fits these filters."
HISTORY_COLUMNS = ["When", "Scenario", "Side a", "Side b", "Outcome", "Worth to a", "Worth to b", "See it"]
STATUS_RUNNING = "Running"
ENDINGS = {"walked_away": "one side walked away", "deadline": "the last round passed"}
OPEN = "open"
REPLAY = "replay"
BESIDE = "beside"
FORKED_AFTER = "forked after turn {turns}"
IS_PUBLISHED = "published"
HIDDEN_AGENT = "hidden until you vote"

# the timeline of models
TIMELINE = "What was loaded, waited for and unloaded of late"
TIMELINE_EMPTY = "Nothing was loaded or waited for in the last half hour."
TIMELINE_WORDS = "In words, the latest first"
NOW, AGO = "now", "{time} ago"
SPANS = {
    "fetch": "download",
    "load": "load",
    "wake": "copy back",
    "unload": "unload",
    "wait": "wait",
    "failure": "failure",
}
TOOK, GOES_ON = "took {time}", "for {time} so far"

UNKNOWN_RUN = "There is no negotiation under this link. It may have been deleted, or the link is incomplete."

# agents and their settings
YOU = "you"
EMBEDDED = "comes with Parley"
HERE = "downloaded already, needs about {memory}"
HERE_UNKNOWN = "downloaded already"
DOWNLOAD = "{size} download, needs about {memory}"
GONE = "This agent is not available here any more."
SETTINGS = "Settings"
SETTINGS_OF = "{name}, if a model plays"
NARRATES = "Who decides"
NARRATES_INFO = "A strategy may decide while the model only finds the words."
DECIDES_ITSELF = "the model itself"
GUARD = "Guard rail"
GUARD_INFO = "What its replies are held to while they are written."
GUARDS = {
    "legal": "legal moves only",
    "rational": "legal, and nothing worse than no deal",
    "free": "none: replies are read strictly",
}
TEMPERATURE = "Temperature"
TEMPERATURE_INFO = "0 is the likeliest words always; empty is the model's own setting."
PERSONA = "Manner"
PERSONA_INFO = "a friendly old trader who hates haggling"
HINT = "Plan"
HINT_INFO = "open high, then give in slowly"
LANGUAGE = "Language"
LANGUAGE_INFO = "English, français, 日本語"
CALCULATOR = "Told what offers are worth to it"
CALCULATOR_INFO = "Without this it has to work that out by itself."
RETRIES = "Retries"
RETRY = "Asked again"
RETRY_KINDS = {"specific": "told what was wrong", "blind": "without a reason"}
THINKING_ROOM = "Room to think (characters)"
THINKING_INFO = "For reasoning models; 0 is none."
_CHOSEN = {
    "narrates": "speaks for {value}",
    "temperature": "temperature {value:g}",
    "persona": "manner: {value}",
    "hint": "plan: {value}",
    "language": "in {value}",
    "retries": "{value} retries",
    "thinking": "thinks up to {value} characters",
}


def chosen(key: str, value: object) -> str:
    """A setting that was changed, in short."""
    if key == "calculator":
        return "not told what offers are worth"
    if key == "guard":
        return f"guard rail: {GUARDS[str(value)]}"
    if key == "retry":
        return f"asked again {RETRY_KINDS[str(value)]}"
    return _CHOSEN.get(key, key + ": {value}").format(value=value)


# presets: name, and what there is to be learnt
PRESET = "Start from"
PRESET_NONE = "Your own set-up."
PRESETS = {
    "decides": (
        "Who decides?",
        "In lane 1 the small model decides for itself. In lane 2 the same model only finds the words for a firm "
        "strategy. Watch what that does to the deal.",
    ),
    "temperatures": (
        "Two temperatures",
        "The same model twice: once it keeps to its likeliest words, once it speaks freely.",
    ),
    "baseline": (
        "Model or script?",
        "Does the model do better than a few lines of code that give in early?",
    ),
    "mirrored": ("Mirrored", "The same two agents, seats swapped: is it the agent, or is it the role?"),
    "stronger": (
        "Against {name}",
        "A stronger model in the second lane. It is downloaded when it is first used: about {size}, "
        "and it needs about {memory} of memory.",
    ),
    "script": ("Two scripts", "No models are registered: two scripted strategies, seats swapped."),
}

# scenarios
SCENARIOS = "Scenarios"
SCENARIO_GONE = "This scenario is not available here any more; pick another."
VERSUS = " and "
EDIT = "Write or edit"
OWN_TITLE = "Your own scenario"
OWN_ABOUT = (
    "Change this one or write another: what is to be settled, and what every option is worth to each side. "
    "What is wrong with it, and its outcome space, are shown as you type."
)
OWN_LABEL = "Scenario (YAML)"
OWN_WHERE = "your scenario"
OWN_USE = "Negotiate over it"
OWN_LISTED = "{title} (yours)"
OWN_EMPTY = "Write, paste or upload a scenario; what is wrong with it appears here."
OWN_BROKEN = "This cannot be negotiated yet"
OWN_FOUND = "This can be negotiated, but"
OWN_FINE = "Nothing is wrong with it."
UPLOAD = "Upload a file"
UPLOAD_BAD = "{name} is not a text file in UTF-8 with at most {most:,} characters."
CLOSE = "Close"

# running again
AGAIN = "Rerun, same seed"
CONTINUE = "Continue"
AGAIN_GONE = "One of these was deleted and cannot be run again; press Start instead."
RUNNING = "Stop the negotiation that is running first."
NOT_YOURS = "Only who started a negotiation can continue it."
REPEATS = "Run again, it repeats word for word: both sides are scripted."
VARIES = "Run again, models may choose other words: both lanes share the machine."


# the paired comparison
PAIRS = "Which of the two is better?"
PAIRS_ABOUT = (
    "One negotiation tells little. Pairs are many: the two agents in which the lanes differ meet the same opponent in "
    "both seats on the same seeds, in the background."
)
PAIRS_COUNT = "More pairs"
PAIRS_RUN = "Run pairs"
PAIRS_WRONG = "Pairs can be run from 1 to {most} at a time."
PAIRS_NONE = "Pairs compare two agents against one opponent: let the lanes differ in one agent only."
PAIRS_OF = "{first} against {second}; both play {opponent} over: {scenario}. Seeds {low} to {high}, both seats."
PAIRS_PROGRESS = "{done} of {goal} negotiations"
PAIRS_SURE = "{name} gets {by} more per negotiation (95 % interval {low} to {high}, {pairs})."
PAIRS_UNSURE = "{name} gets {by} more so far, but that may be chance (95 % interval {low} to {high}, {pairs})."
PAIRS_SAME = "Both always made the same moves."
PAIRS_REPEAT = "Every pair repeats the same moves, so more of them tell nothing new."
PAIRS_UNKNOWN = "How many more pairs are needed cannot be told yet."
PAIRS_ENOUGH = "That is enough to tell them apart."
PAIRS_MORE = "About so many more would tell them apart: {pairs}."
PAIRS_NOTHING = "No pair is complete yet."
PAIRS_FAILED = "{count} negotiations gave no result: {reason}"
INTERVAL_TITLE = "Difference per negotiation: {mean}, 95 % interval {low} to {high}"


def visitors(count: int) -> str:
    """A number of visitors."""
    return "one visitor" if count == 1 else f"{count:,} visitors"


def pairs(count: int) -> str:
    """A number of pairs."""
    return "one pair" if count == 1 else f"{count:,} pairs"
