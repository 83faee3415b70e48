"""Actions that tests perform on the page in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def pick(page: Page, element: str, label: str) -> None:
    """Choose from a pick list as a person does: type, then take the suggestion."""
    field = page.locator(f"#{element} input")
    field.fill(label)
    page.get_by_role("option", name=label).first.click()
    expect(field).to_have_value(re.compile(re.escape(label)))
