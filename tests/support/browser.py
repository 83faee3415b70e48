"""Actions that tests perform on the page in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def open_setup(page: Page) -> None:
    """Open the drawer of the set-up, unless it is open."""
    swap = page.locator("#arena-swap")
    if not swap.is_visible():
        page.locator("#arena-setup > button").click()
        expect(swap).to_be_visible()


def choose_preset(page: Page, name: str) -> None:
    """Choose what the two lanes are to show."""
    page.locator("#arena-presets summary").click()
    page.locator("#arena-presets").get_by_role("button", name=re.compile(f"^{name}")).click()
    expect(page.locator("#arena-presets summary")).to_contain_text(name)


def start(page: Page, button: str = "arena-start") -> None:
    """Start new negotiations, and wait until the lanes no longer show what they showed before."""
    before = page.url
    page.locator(f"#{button}").click()
    expect(page).not_to_have_url(before)


def pick(page: Page, element: str, label: str) -> None:
    """Choose from a pick list as a person does: type, then take the suggestion."""
    if element.startswith("lane-"):
        open_setup(page)
    field = page.locator(f"#{element} input")
    field.fill(label)
    page.get_by_role("option", name=label).first.click()
    expect(field).to_have_value(re.compile(re.escape(label)))
