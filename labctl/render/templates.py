"""How labctl's templates are read."""

from __future__ import annotations

from typing import Any

from labctl.resources import resource


def render(template: str, **values: Any) -> str:
    """The text of a template at the project's root; a name that is not given is an error.

    In Ruby's templates every value goes through the filter `ruby`.
    """
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - slow, and most commands render nothing

    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the text is Ruby, which HTML's escapes would damage
    )
    environment.filters["ruby"] = ruby
    return environment.from_string(resource(template).read_text(encoding="utf-8")).render(**values)


def ruby(text: str) -> str:
    """A Ruby string of exactly `text`: between single quotes nothing is replaced or run."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
