"""What a handler gives back to Gradio."""

from __future__ import annotations

from typing import Any

Updates = dict[Any, Any]
"""New values or properties by component. Gradio has no types for them, so this is the boundary where types end."""
