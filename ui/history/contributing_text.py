"""The texts about contributing a run to a public dataset, and withdrawing it."""

from __future__ import annotations

CONTRIBUTE = "Contribute…"
NOT_NOW, CLOSE = "Not now", "Close"
ALLOW = "Continue to Hugging Face"
GIVE = "Contribute it"
WITHDRAW = "Withdraw it"
ASKING = "Asking Hugging Face…"
GIVING = "Contributing…"
TAKING = "Withdrawing…"

TO_ALLOW = (
    "Contribute this run",
    (
        "You can publish this run in a public dataset in your own Hugging Face account. For that, Parley needs your "
        "permission to create repositories there, and to change those that it created. It gets no access to anything "
        "else.",
        "Hugging Face asks you on its own page. You then come back to this run, read what would be published, and "
        "decide. Until then, nothing is published.",
        "The permission is kept in memory only. It is forgotten when you sign out, or soon after you close the page, "
        "and it expires by itself.",
    ),
)
NOT_ALLOWED = (
    "Not allowed",
    (
        "Parley did not get your permission, so nothing has been published. Everything else works as before.",
        "If you cancelled, there is nothing more to do. If Hugging Face had a problem, try again in a few minutes.",
    ),
)

CONSENT_TITLE = "Contribute this run?"
CONSENT = (
    (
        "Where",
        "In the public dataset {repository} of your Hugging Face account, under {license}. There everybody can read, "
        "copy and use it, and sees the name of your account.",
    ),
    (
        "What is published",
        "The scenario with both sides' preferences, the agents with their settings and prompts, every message and "
        "private thought, how it ended, and the versions of programs and models. Whatever you wrote yourself is part "
        "of it: publish only what everybody may read.",
    ),
    ("What is not", "Your network address, your cookie, your access tokens, and the link to this page."),
    (
        "Withdrawing",
        "You can withdraw it here as long as the run is stored here, and delete the dataset on the Hub at any time. "
        "Copies that others have made by then remain.",
    ),
)
LICENSE_NAMES = {"cc-by-4.0": "the licence CC BY 4.0"}

GIVEN = "Thank you!"
THERE = "You have contributed this run"
IS_THERE = "The run is in the dataset {repository} of your Hugging Face account."
LINK = "Open the dataset"
WITHDRAW_ABOUT = (
    "Withdrawing deletes its file, also from the dataset's history, and the dataset with its last run. Copies that "
    "others have made remain, and caches for a while."
)

TAKEN = "Withdrawn"
WITHDRAWN = "The run has been deleted from the dataset {repository} and its history."
WITHDRAWN_DATASET = "The run has been withdrawn. The dataset {repository} has no other run and is no longer there."
WITHDRAWN_BUT_HISTORY = (
    "The run has been deleted from the dataset {repository}, but not from its history: open the dataset's settings on "
    "the Hub to delete it there, or delete the dataset."
)
COPIES_REMAIN = "Copies that others have made remain with them, and caches on the Hub may show it for a while."

FAILED = "That did not work"
NOT_OWN = "You can contribute and withdraw only runs of your own."
