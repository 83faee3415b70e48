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

# contributing a run to a public dataset
CONTRIBUTE, CONTRIBUTE_SURE, NOT_NOW = "Contribute…", "Publish it in my account", "Not now"
CONSENT = (
    "This publishes the run in the public dataset {repository} of your Hugging Face account, under {license}. There "
    "everybody can read, copy and use it, and sees the name of your account.",
    "Published: the scenario with both sides' preferences, the agents with their settings and prompts, every message "
    "and private thought, how it ended, and the versions of programs and models. Whatever you wrote yourself is part "
    "of it: publish only what everybody may read.",
    "Not published: your network address, your cookie, your access tokens, and the link to this page.",
    "You can withdraw it here later, or delete the dataset on the Hub. Copies that others have made by then remain.",
)
LICENSE_NAMES = {"cc-by-4.0": "the licence CC BY 4.0"}
CONTRIBUTED = "Thank you. The run is now in the dataset {repository}."
CONTRIBUTION_THERE = "This run is in the dataset {repository} of your Hugging Face account."
CONTRIBUTION_LINK = "Open the dataset"
WITHDRAW = "Withdraw it"
WITHDRAW_ABOUT = (
    "Withdrawing deletes its file, also from the dataset's history, and the dataset with its last run. Copies that "
    "others have made remain, and caches for a while."
)
WITHDRAWN = "The run has been deleted from the dataset {repository} and its history."
WITHDRAWN_DATASET = "The run has been withdrawn, and the dataset {repository}, which has no other, is no longer there."
WITHDRAWN_BUT_HISTORY = (
    "The run has been deleted from the dataset {repository}, but not from its history: open the dataset's settings on "
    "the Hub to delete it there, or delete the dataset."
)
COPIES_REMAIN = "Copies that others have made remain with them, and caches on the Hub may show it for a while."
CONTRIBUTE_SIGN_IN = (
    "Sign in to Hugging Face and allow Parley to create datasets, then try again with a run of your own."
)

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
