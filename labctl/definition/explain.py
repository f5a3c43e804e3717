"""pydantic's errors in the words of a definition: what is wrong, what is allowed, the nearest known word."""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails, ValidationError

from labctl.definition.models import Definition, Group, NodeSpec, Partition, Services, User
from labctl.definition.problems import Path, Problem
from labctl.words import instead

#: What the items of the definition's lists are.
ITEMS: dict[str, type[BaseModel]] = {
    "users": User,
    "groups": Group,
    "nodes": NodeSpec,
    "partitions": Partition,
}
_PARTS: dict[str, type[BaseModel]] = {**ITEMS, "services": Services}

_UNITS = {"memory": " MiB", "uid": " (others belong to the system)", "gid": " (others belong to the system)"}
_KINDS = {
    "int": "a whole number",
    "bool": "true or false",
    "string": "text (a number as text needs quotes)",
    "list": "a list, such as [a, b]",
    "dict": "a mapping of key: value",
    "model": "a mapping of key: value",
}


def explain(error: ValidationError) -> list[Problem]:
    """Every problem in a validation error of a Definition."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "lab":
            found += detail["ctx"]["problems"]
        else:
            path = tuple(part for part in detail["loc"] if part != "[key]")
            found.append(Problem(path, _words(path, detail)))
    return found


def model_at(path: Path) -> type[BaseModel]:
    """The model whose key is the last part of `path`."""
    return _PARTS.get(str(path[0]), Definition) if len(path) > 1 else Definition


def _words(path: Path, detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    last, given = path[-1] if path else "", reprlib.repr(detail["input"])
    if kind == "missing":
        return f"{last} is missing"
    if kind == "extra_forbidden":
        return f"unknown key {last!r}{instead(str(last), model_at(path).model_fields)}"
    if kind == "literal_error":
        allowed = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ",").split(",")]
        what = str(path[-2] if isinstance(last, int) else last).removesuffix("s")
        return f"unknown {what} {given}{instead(str(detail['input']), allowed)}"
    if kind == "greater_than_equal":
        return f"{given} is too little: at least {context['ge']}{_UNITS.get(str(last), '')}"
    if kind == "less_than_equal":
        return f"{given} is too much: at most {context['le']}{_UNITS.get(str(last), '')}"
    return str(context["words"]) if kind == "value" else _expected(kind, given, detail)


def _expected(kind: str, given: str, detail: ErrorDetails) -> str:
    expected = _KINDS.get(kind.split("_", maxsplit=1)[0])
    return f"must be {expected}, not {given}" if expected else detail["msg"]


def salvage(model: type[BaseModel], data: Any) -> tuple[Any, set[str]]:
    """The model without the keys that are wrong, and their names; None if it has no sound name.

    A number that must be there and is wrong becomes one that nobody has, so that the rest can be looked at.
    """
    if not isinstance(data, dict):
        return None, set()
    rest, lost = dict(data), set[str]()
    while True:
        try:
            return model.model_validate(rest), lost
        except ValidationError as error:
            wrong = {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]} & set(rest)
        if not wrong:
            missing = {key for key, field in model.model_fields.items() if field.is_required()} - set(rest)
            unknown: dict[str, Any] = {key: -id(data) for key in missing}
            return (None if "name" in missing else model.model_construct(**rest, **unknown)), lost
        lost |= wrong
        for key in wrong:
            del rest[key]
