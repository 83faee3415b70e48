"""The texts of the Tournament tab."""

from __future__ import annotations

TAB = "Tournament"
ABOUT = (
    "Which agent negotiates best, in which seat, in which scenarios, and how certain is that? "
    "Every agent meets every other one."
)

# rights
OPEN_TO_ALL = "Any visitor may start, stop and resume tournaments; one runs on this server at a time."
OPERATOR_ONLY = "Only the operator of this server may start, stop and resume tournaments; anyone may watch."
NOT_ALLOWED = "Only the operator of this server may start, stop and resume tournaments."

# setting one up
NEW = "Set up a tournament"
FILE = "Start from"
FILE_OWN = "Your own"
TITLE = "Title"
MODELS = "Models"
BASELINES = "Scripted strategies"
SCENARIOS = "Scenarios"
SCENARIOS_INFO = "Leave empty for all."
FAMILY = "Drawn from a family"
FAMILY_INFO = "New scenarios of a kind, instead of the listed ones."
FAMILY_NONE = "No: the scenarios above"
DRAWN = "How many"
DRAWN_INFO = "Scenarios to draw."
DRAW_SEED = "Drawing seed"
DRAW_SEED_INFO = "Another seed draws other scenarios."
PAIRS = "Seeds for each pair of agents and scenario"
PAIRS_INFO = "Two show that scripts repeat themselves; from three on, a model's luck can be told from its skill."
SEEDS = "Or these seeds"
SEEDS_INFO = "Such as 7, 11 (instead of 1, 2, …)"
SEEDS_WRONG = "Seeds are integers separated by commas, such as 7, 11."
ROUNDS = "Rounds"
ROUNDS_INFO = "0 for the scenarios' own deadlines; up to 100, or 1,000 for scripts alone."
MIRRORED = "Both agents play both seats"
CONSTRAINED = "Models can only make legal replies"
LIMITS = "Limits"
AT_ONCE = "Negotiations in parallel"
RETRIES = "Retries after a failure"
RETRY_SECONDS = "Seconds before the first retry"
MINUTES = "Stop after (minutes)"
MINUTES_INFO = "0 for no limit. A stopped tournament can be resumed."
ADAPTIVE = "Adaptive: play where the ranking is not settled yet"
FIRST_PAIRS = "Seeds to play for every pairing first"
CLOSE_POINTS = "Difference in points that counts as a tie"
MOST = "Maximum number of negotiations"
MOST_INFO = "0 to play them all."
RUN = "Run tournament"
SIZE = "{agents} agents, {scenarios} scenarios: {size:,} negotiations"
SIZE_MOST = ", of which at most {most:,} are played"
TOO_MANY = (
    "That would be {size:,} negotiations, and this page can run at most {most:,}. Choose fewer agents, scenarios "
    "or seeds."
)

# progress
SHOWN = "Tournament"
LISTED = "{title} · {when} · {status}"
RESUME = "Resume"
STOP = "Stop"
PROGRESS = "{done:,} of {total:,} negotiations"
LEFT = "about {time} left"
FAILED = "{count:,} failed even after retries"
RETRIED = "{count:,} failed attempts were retried"
STOPPING = "Stopping …"
STATUS = {
    "running": "running",
    "done": "finished",
    "stopped": "stopped",
    "failed": "failed",
    "interrupted": "interrupted",
}
NONE = "No tournament has been run yet."
NOTHING = "No negotiation has ended yet."
OTHER = "“{title}” is running on this server."

# the leaderboard
WHERE = "Scenario"
EVERYWHERE = "All scenarios"
BOARD_ABOUT = (
    "Agents are sorted by their mean points over all opponents and scenarios, each counting equally: 0 is no deal, 100 "
    "the best deal that the other side could still accept, and below 0 is worse than no deal. Points are the share of "
    "negotiations with a deal times the points per deal. Bars and brackets are 95% intervals. A rank is 1 + the number "
    "of agents that are clearly ahead; with = it is shared."
)
AGENT, POINTS = "Agent", "Points"
THESE = (
    "These scenarios",
    "how far the points could be off if these games were played with other seeds; with one seed, nothing is known",
)
LIKE_THESE = (
    "Scenarios like these",
    "how far the points could be off if other scenarios of the same kind were played; the columns to the right, too",
)
ONE_SEED = (
    "Only one seed was played, which says nothing about others. The intervals of these scenarios are therefore as wide "
    "as can be, and ranks are shared."
)
RANK_OF = "rank {rank}"
RATING, RANK, TALLY = "Rating", "Rank", "Won, drawn, lost"
TIED = "not clearly apart from {names}"
MEASURES = {
    "agreement": ("Deals", "share of negotiations that ended in a deal"),
    "surplus_when_agreed": ("Points per deal", "mean points of the negotiations that ended in a deal"),
    "pareto": (
        "Pareto-optimal",
        "share of deals on the Pareto frontier: no other deal is better for one side without being worse for the other",
    ),
    "welfare": ("Joint worth", "joint worth of both sides, as a share of the largest possible"),
    "rational": ("Rational", "share of negotiations that gave the agent at least what no deal is worth to it"),
    "invalid": ("Invalid", "share of replies that could not be used"),
}
TOKENS = ("Tokens", "tokens written by its models in all, and their cost if they have a price")
SEATS = "By seat"
SEATS_ABOUT = "Mean points in each seat."
SEAT = "Seat {seat}"
AGAINST = "Against each other"
AGAINST_ABOUT = "Mean points of the row's agent against the column's. Press a cell to list its negotiations."
PLACES = "By scenario"
PLACES_ABOUT = "Mean points of the row's agent in the column's scenario. Press a cell to list its negotiations."
CELL = "{row}, {column}: {mean} points ({low} to {high}), {games} negotiations"
RUNS = "{row} – {column}: {count} negotiations"
RUNS_COLUMNS = ("Scenario", "Seat a", "Seat b", "Seed", "Points of {agent}", "")
RUNS_MORE = "{count} more are in the export."
OPEN = "open"
NO_DEAL = "no deal"
TOO_SHORT = (
    "In {count} of {total} scenarios the deadline ends micro before it could agree even with itself. Its points say "
    "nothing about what it does with more rounds."
)
FAILURES = "Negotiations that failed even after retries: {count}"
VOTES = "What people prefer"
VOTES_ABOUT = (
    "Based on blind votes in History on lanes that differ in one agent, across all scenarios. The Bradley-Terry rating "
    "is fitted to all votes: the average is 1000, and as in chess, a lead of 400 means odds of ten to one."
)
JSON, CSV, LATEX = "Export JSON", "Export CSV", "Export LaTeX"
