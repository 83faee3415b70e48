"""The page: draws what happens in negotiations, and turns what visitors do into calls. Holds no negotiation logic.

`from ui import build_page` gives the page of an open `Parley`. It imports Gradio; `import ui` alone does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ui.page import build_page

__all__ = ["build_page"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from ui import page

        return getattr(page, name)
    raise AttributeError(f"module 'ui' has no attribute '{name}'")
