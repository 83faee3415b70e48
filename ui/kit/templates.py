"""HTML from the Jinja2 templates in `ui/templates`. Escaping is the default: only `Markup` passes as HTML."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ui.kit import text
from ui.kit.errors import plain
from ui.kit.units import dollars, in_points, points, seconds, size

_DIRECTIONS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
"""Characters that reverse the direction of the text after them, even outside their element (Unicode TR 9 and 36)."""


def without_directions(value: object) -> object:
    """Replace direction characters in text that is about to be escaped; HTML passes unchanged."""
    return value if isinstance(value, Markup) else str(value).translate(_DIRECTIONS)


def element(name: str, classes: str = "", *content: object, **attributes: object) -> Markup:
    """Return one element, for drawings and single headings; larger pieces are templates.

    Args:
        content: Text, which is escaped, and elements.
        attributes: Their values are escaped. `_` stands for `-`.
    """
    given = {"class": classes, **attributes} if classes else attributes
    written = "".join(f' {key.replace("_", "-")}="{_escaped(value)}"' for key, value in given.items())
    return Markup(f"<{name}{written}>{''.join(map(_escaped, content))}</{name}>")


def _escaped(value: object) -> str:
    return str(value if isinstance(value, int | float | Markup) else escape(without_directions(value)))


_environment = Environment(
    loader=PackageLoader("ui"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=without_directions,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    plain=plain, points=points, in_points=in_points, size=size, seconds=seconds, dollars=dollars
)
_environment.globals.update(text=text)


def render(template: str, /, **values: object) -> Markup:
    """Render a template of `ui/templates`, named without its suffix.

    Args:
        template: For example `"model_strip"` for `ui/templates/model_strip.html`.
        values: The template's variables. Text is escaped where it is shown; `Markup` is taken as HTML. The texts of
            the page are there as `text`, and the functions of `ui.kit.units` as filters.

    Returns:
        HTML that another template can include as a value.

    Raises:
        jinja2.UndefinedError: If the template uses a variable that was not given.
    """
    return Markup(_environment.get_template(f"{template}.html").render(**values))
