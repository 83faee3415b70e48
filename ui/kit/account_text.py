"""Texts about models on the visitor's own account: signing in, keys, prices and limits."""

from __future__ import annotations

from collections.abc import Sequence

SIGN_IN = "Sign in with Hugging Face"
SIGN_OUT = "Sign out ({})"
OWN_KEY = "Use your own account"
KEY_IN_USE = "Your key is in use"
EXPIRED_BUTTON = "Your key has expired"
TITLE = "Strong models on your own account"
ABOUT_KEY = (
    "Inference Providers serve hundreds of models at Hugging Face, and bill your account for them. A key for it is "
    "kept in memory for this session only: it serves nobody but you, is never stored, logged or shown, and is "
    "forgotten soon after you close the page."
)
WHERE_KEY = "Make a key that may call Inference Providers"
TOKENS_URL = (
    "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write&tokenType=fineGrained"
)
KEY = "Access token"
KEY_INFO = "Kept in memory for this session only."
USE_KEY = "Use this key"
USE_OWN = "Use this machine's HF_TOKEN"
FORGET = "Forget the key"
CLOSE = "Close"
KEY_USED = "A key is in use for this session. Models on your account are in the pick lists."
NO_COOKIE = "This needs cookies, and your browser does not accept them. Allow them and reload the page."
NO_OWN = "There is no HF_TOKEN to use here: this works only on the machine that Parley runs on, with a token set there."
NO_KEY = "Paste a key first."
NOT_HERE = "This page takes no keys."
FAILED = "You are not signed in, because you cancelled or Hugging Face had a problem. You can try again at any time."
EXPIRED = "Your sign-in has expired. Sign in again; negotiations that stopped can be continued."

OFFERED_SHIPPED = (
    "The list of models on your account cannot be fetched now. The best-known ones are offered, without prices."
)
HOW = {
    "hub": "Sign in with Hugging Face at the top of the page to use {them}.",
    "key": "Choose “Use your own account” at the top of the page to use {them}.",
}
NEEDED = {
    "hub": "is served remotely, on your account: sign in with Hugging Face at the top of the page",
    "key": "is served remotely, on your account: choose “Use your own account” at the top of the page",
    "none": "is served remotely, on the visitor's account, and nobody can sign in here",
}
CONTEXT = "{count} tokens of context"

PRICE_OF = "{name}: {price}"
PRICE_UNKNOWN = "no price stated"
LIKELY_COST = {
    1: "Estimated cost: up to about {cost}",
    2: "Estimated cost of both lanes: up to about {cost}",
}
UNPRICED = ", not counting {names}"
LAST_COST = "The last time it was {cost}"
LIMIT = "Limit per negotiation ($)"
LIMIT_INFO = "It stops before a turn that could cost more. Raise the limit to continue."
LIMIT_WRONG = "The limit must be between {least} and {most}."


def offered(count: int) -> str:
    """Say how many models can be picked because a visitor has an account."""
    served = "One model is" if count == 1 else f"{count} models are"
    return f"{served} served remotely, on your account: type to search."


def needs(how: str, count: int) -> str:
    """Say how many more models there are for a visitor's account, and how to use it here; "" where nobody can."""
    if how not in HOW:
        return ""
    served, them = ("One more model is", "it") if count == 1 else (f"{count} more models are", "them")
    return f"{served} served remotely, on your account. {HOW[how].format(them=them)}"


def listed(names: Sequence[str]) -> str:
    """Return names as one enumerates them.

    >>> listed(["one"]), listed(["one", "two"]), listed(["one", "two", "three"])
    ('one', 'one and two', 'one, two and three')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
