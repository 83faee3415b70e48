"""The texts of the History tab."""

from __future__ import annotations

# the list
EMPTY = "No negotiations yet. Press Start in the Arena, or play one yourself; every run is stored here."
FORGETS = "This Space stores runs only until it restarts. Save the ones you want to keep as JSONL or CSV."
STATUSES = {
    "running": "running",
    "done": "ended",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "failed": "failed",
}
REFRESH = "Refresh"
PERSON = "a person"
SEARCH = "Search"
SEARCH_HINT = "title, agent or outcome"
ALL = "all"
AGENT_FILTER = "Played by"
STATUS_FILTER = "Status"
ONLY_OWN = "Only my own"
BLIND = "Blind: hide agents until I vote"
NEWER, OLDER = "Newer", "Older"
PAGE = "page {number}"
SAVE_ALL = {"jsonl": "Save these as JSONL", "csv": "Save these as CSV"}
SAVE_NOTHING = "No run matches these filters, so there is nothing to save."
SAVE_CUT = "The file holds only the newest {count} runs; narrow the filters to save the others."

# a replay
TURN = "After turn"
PLAY_STEPS, PAUSE_STEPS = "Play", "Pause"
ALONE = "Show only the first"
LINK = "Link to this replay"
AGAINST = " against "
SAVE = {"jsonl": "Save as JSONL", "csv": "Save as CSV"}
PUBLISH, UNPUBLISH = "Publish", "Unpublish"
DELETE, DELETE_SURE, KEEP = "Delete", "Delete permanently", "Keep"
DELETED = "The run has been deleted."
FORK = "Fork from the start"
FORK_AFTER = "Fork after turn {turns}"
FORK_ABOUT = (
    "Start a new run from the turns so far. Choose who continues, and edit the last message if you like; "
    "this run does not change."
)
FORK_MESSAGE = "The last message"
FORK_GO = "Start the fork"
FORK_OVER = "The negotiation ended here. Go back to an earlier turn to fork it."
PLAY_ON = "you (opens in Play)"

# how to cite and reproduce a run
PROVENANCE = "How to cite and reproduce this run"
CITATION = (
    "Run {run} of “{title}” (scenario {scenario}, sha256 {digest}…) with seed {seed}, "
    "played with Parley {version}, prompt version {prompts}."
)
PROGRAM, CONTINUED = "Played with", "Continued with"
PROGRAM_IS = "Parley {version}, prompt version {prompts}; {libraries}; {platform}"
DRAWN, DRAWN_FROM = "Scenario drawn from", "the family {family}, seed {seed}, number {index}"
A_PERSON = "a person"
NO_MODEL = "the scripted strategy {agent}, which is part of Parley"
FROM_TURN = "from turn {turn} on: "
COMMIT = "commit {commit}"
DIGEST = "sha256 {digest}…"
ON_DEVICE = "{dtype} on {device}"
SERVER_SAYS = "the server calls itself {words}"
SERVER_SILENT = "the server says nothing about itself"
REPRODUCE = "To play it again and see what differs, save this run as JSONL and run"
LIMITS = {
    "person": "A person's decisions cannot be reproduced: the recorded moves of the {role} are repeated.",
    "remote": "The {role} was played by a model on a remote server, which may answer differently next time.",
}
NO_PROVENANCE = "This run was recorded by a version of Parley that did not record models and versions."

# votes
VOTE_ASK = "Which lane negotiated better?"
VOTE_BLIND = "The agents are hidden until you have voted."
VOTES = {"1": "Lane 1", "2": "Lane 2", "tie": "Equally good", "neither": "Neither"}
VOTE_COUNT = "{name}: {count}"
VOTED = "Your vote: {mine}. All votes: {counts}"
VOTE_WHAT = "Open both lanes of one comparison to vote on them."
