"""The texts of the tournament tab."""

from __future__ import annotations

TAB = "Tournament"
ABOUT = "Who negotiates best, in which seat, on which scenarios, and how sure is that? Every two agents meet."

# who may
EVERYBODY = "Everybody who visits may start, stop and resume; one tournament runs on this server at a time."
OPERATOR_ONLY = "Only the operator of this server may start, stop and resume tournaments; everybody may look."
NOT_ALLOWED = "Only the operator of this server may start, stop and resume tournaments."

# setting one up
NEW = "Set up a tournament"
FILE = "Start from"
FILE_OWN = "Your own"
TITLE = "Title"
MODELS = "Models"
BASELINES = "Scripted strategies"
SCENARIOS = "Scenarios"
SCENARIOS_INFO = "None: all of them."
PAIRS = "Seeds for every two agents and scenario"
SEEDS = "Or these seeds"
SEEDS_INFO = "Like 7, 11; instead of 1, 2, ..."
SEEDS_WRONG = "Seeds are whole numbers with commas between them, like 7, 11."
MIRRORED = "Both agents play both seats"
CONSTRAINED = "Models may only make legal replies"
LIMITS = "Limits"
AT_ONCE = "Negotiations at a time"
RETRIES = "Tries again after a failure"
RETRY_SECONDS = "Seconds before the first"
MINUTES = "Stop after minutes"
MINUTES_INFO = "Empty: never. It can be resumed."
ADAPTIVE = "Adaptive: play where the ranking is not settled"
FIRST_PAIRS = "Seeds played everywhere first"
CLOSE_ENOUGH = "Rating points that count as a tie"
MOST = "Negotiations at most"
MOST_INFO = "Empty: as many as there are."
RUN = "Run tournament"
SIZE = "{agents} agents, {scenarios} scenarios: {size:,} negotiations"
SIZE_MOST = ", at most {most:,} of them"
TOO_MANY = "That are {size:,} negotiations; from this page at most {most:,} can be run. Take fewer agents or seeds."

# how far it is
SHOWN = "Tournament"
LISTED = "{title} · {when} · {status}"
RESUME = "Resume"
STOP = "Stop"
PROGRESS = "{done:,} of {total:,} negotiations"
LEFT = "about {time} left"
FAILED = "{count:,} failed for good"
RETRIED = "{count:,} tries failed and were made again"
STOPPING = "Stopping …"
STATUS = {
    "running": "running",
    "done": "finished",
    "stopped": "stopped",
    "failed": "broken off",
    "interrupted": "interrupted",
}
NONE = "No tournament was run yet."
NOTHING = "No negotiation has ended yet."
OTHER = "“{title}” is running on this server."
GONE = "There is no such tournament here any more."

# the leaderboard
WHERE = "Scenario"
EVERYWHERE = "All scenarios"
BOARD_ABOUT = (
    "A meeting is won by who got more over both seats. 400 points are odds of ten to one; the mean is 1000. Bars and "
    "brackets are 95 % intervals. A rank with = is shared: the intervals overlap."
)
RANK, AGENT, RATING, GAMES, TALLY = "Rank", "Agent", "Rating", "Games", "Won, drawn, lost"
TIED = "tied with {names}"
MEASURES = {
    "utility": ("Utility", "0: no deal, 1: the best that the other side could accept"),
    "agreement": ("Deals", "share of negotiations that ended with a deal"),
    "pareto": ("Optimal", "share of deals that could not be better for one without being worse for the other"),
    "welfare": ("Joint", "share of the largest joint utility"),
    "rational": ("Rational", "share that ended at or above what no deal is worth"),
    "invalid": ("Invalid", "share of replies that could not be used"),
}
TOKENS = ("Tokens", "tokens that its models wrote in all, and what they cost where they have a price")
SEATS = "By seat"
SEATS_ABOUT = "Mean utility in each seat."
SEAT = "Seat {seat}"
AGAINST = "Against each other"
AGAINST_ABOUT = "Mean utility of the row's agent against the column's. Press a cell for its negotiations."
PLACES = "By scenario"
PLACES_ABOUT = "Mean utility of the row's agent on the column's scenario. Press a cell for its negotiations."
CELL = "{row}, {column}: {mean} ({low} to {high}), {games} negotiations"
RUNS = "{row} – {column}: {count} negotiations"
RUNS_COLUMNS = ("Scenario", "Seat a", "Seat b", "Seed", "Utility of {agent}", "")
RUNS_MORE = "{count} more are in the export."
OPEN = "open"
NO_DEAL = "no deal"
FAILURES = "{count} negotiations that failed for good"
VOTES = "What people prefer"
VOTES_ABOUT = "From blind votes in the arena on lanes that differed in one agent, whatever the scenario."
JSON, CSV = "Export JSON", "Export CSV"
