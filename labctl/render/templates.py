"""How labctl's templates are read."""

from __future__ import annotations

from typing import Any

from labctl.resources import resource

#: How the names of templates end whose text is markup.
MARKUP = (".svg.j2", ".html.j2")


def render(template: str, **values: Any) -> str:
    """The text of a template, named by its path from the project's root; a name that is not given is an error.

    In Ruby's templates every value goes through the filter `ruby`; in those of SVG and HTML all are escaped.
    """
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - slow, and most commands render nothing

    environment = Environment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=template.endswith(MARKUP),  # Ruby would be damaged by HTML's escapes
    )
    environment.filters |= {"ruby": ruby, "n": number}
    return environment.from_string(resource(template).read_text(encoding="utf-8")).render(**values)


def ruby(text: str) -> str:
    """A Ruby string of exactly `text`: between single quotes nothing is replaced or run."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def number(value: float) -> str:
    """A length for a drawing: no more digits than an eye can see."""
    return f"{round(value, 1):g}"
