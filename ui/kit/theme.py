"""The look of the page: a quiet theme on system fonts, and the style sheets in `styles/`."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

STYLES = sorted((Path(__file__).parents[1] / "styles").glob("*.css"))

TEXT = gr.themes.Size(*(f"var(--size-{size})" for size in ("xs", "xs", "s", "m", "l", "xl", "xl")), name="text_parley")
"""Gradio's seven sizes of text are the page's five, which base.css defines."""

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.indigo,
    secondary_hue=gr.themes.colors.indigo,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_md,
    spacing_size=gr.themes.sizes.spacing_sm,
    text_size=TEXT,
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
).set(
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="*neutral_200",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
    button_primary_text_color="white",
    button_primary_text_color_dark="white",
)
