"""The buttons that share a run (`scripts/share.js` does what they say)."""

from __future__ import annotations

from markupsafe import Markup

from ui.kit.templates import render
from ui.sharing import text
from ui.sharing.subject import BLIND


def share_html(run_id: str, link: str, *, hidden: bool = False) -> Markup:
    """Draw the buttons that copy the link and the transcript of a run, and show its card.

    Args:
        link: The link to the run, relative to the page.
        hidden: Whether names and points are left out until the visitor has voted.
    """
    query = f"?{BLIND}=1" if hidden else ""
    return render("sharing/buttons", words=text, run_id=run_id, link=link, query=query)


def card_window_html() -> Markup:
    """Draw the window in which the page shows a card; it stays closed until a button opens it."""
    return render("sharing/window", words=text)
