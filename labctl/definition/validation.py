"""Check plain data as a definition, and find all of its mistakes, not only the first kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from labctl.definition import checks
from labctl.definition.explain import ITEMS, explain, salvage
from labctl.definition.models import Definition, Services
from labctl.definition.parts import Parts
from labctl.definition.problems import Problem
from labctl.definition.values import network


def check(plain: dict[str, Any]) -> tuple[Definition | None, Sequence[Problem]]:
    """The definition, or else every problem of it."""
    try:
        return Definition.model_validate(plain), ()
    except ValidationError as error:
        found = explain(error)
    # Rules between parts have not been looked at if a field is wrong: do so with all that is sound.
    between = checks.problems(_sound_parts(plain))
    return None, [*found, *(problem for problem in between if problem not in found)]


def _sound_parts(plain: dict[str, Any]) -> Parts:
    parts: dict[str, dict[int, BaseModel]] = {}
    doubtful: set[str] = set()
    for key, model in ITEMS.items():
        parts[key] = {}
        items = plain.get(key, [])
        if not isinstance(items, list) or (key == "nodes" and key not in plain):
            doubtful.add(key)
            continue
        for index, item in enumerate(items):
            sound, lost = salvage(model, item)
            doubtful |= {f"{key}.{name}" for name in lost} | ({key} if sound is None else set())
            if sound is not None:
                parts[key][index] = sound
    services = _sound_services(plain)
    doubtful |= {"services"} if services is None else set()
    return Parts(
        **parts,  # type: ignore[arg-type]
        network=_sound_network(plain),
        services=services,
        doubtful=frozenset(doubtful),
    )


def _sound_network(plain: dict[str, Any]) -> str:
    try:
        return network(str(plain.get("network", "auto")))
    except PydanticCustomError:
        return "auto"


def _sound_services(plain: dict[str, Any]) -> Services | None:
    try:
        return Services.model_validate(plain.get("services", {}))
    except ValidationError:
        return None


def shown(plain: Any, problem: Problem) -> str:
    """The problem with its path as `--set` would write it: names instead of indexes."""
    steps: list[str] = []
    here = plain
    for step in problem.path:
        known = isinstance(here, dict | list) and (isinstance(here, dict) or isinstance(step, int))
        try:
            here = here[step] if known else None
        except (KeyError, IndexError):
            here = None
        named = isinstance(step, int) and isinstance(here, dict) and isinstance(here.get("name"), str)
        steps.append(here["name"] if named else str(step))
    where = ".".join(steps)
    return f"{where}: {problem.words}" if where else problem.words
