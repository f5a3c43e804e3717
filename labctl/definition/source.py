"""A definition's text as plain data that still knows where each of its parts was written."""

from __future__ import annotations

import copy
import math
from typing import Any, Self

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.scalarbool import ScalarBoolean

from labctl.definition.problems import Path

#: More than any lab needs; few enough that a file made of aliases of aliases is refused, not unfolded.
MOST_PARTS = 50_000
MOST_LEVELS = 30


class SourceError(Exception):
    """The text is no YAML that could be a definition. `where` is file:line."""

    def __init__(self, where: str, words: str) -> None:
        super().__init__(words)
        self.where = where
        self.words = words


class Map(dict[str, Any]):
    """A mapping; `where` each key was written, and the mapping itself (key None)."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where: dict[str | None, str] = {None: where}

    def put(self, key: str, value: Any, where: str) -> None:
        """Set a key that is written at `where`."""
        self[key] = value
        self.where[key] = where

    def twin(self) -> Self:
        """The same again, to change one without the other."""
        return copy.deepcopy(self)


class Seq(list[Any]):
    """A list; `where` each item was written, and the list itself."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.own = where
        self.where: list[str] = []

    def put(self, value: Any, where: str) -> None:
        """Append an item that is written at `where`."""
        self.append(value)
        self.where.append(where)


def parse(text: str, name: str) -> Any:
    """Read YAML 1.2 text of the file `name`.

    Raises:
        SourceError: not YAML, or with what no definition has: tags, dates, a key twice, an alias bomb.
    """
    try:
        _look_through(text, name)
        raw = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(part.strip() for part in (error.context, error.problem) if part)
        raise SourceError(f"{name}:{mark.line + 1 if mark else 1}", words.split("\n")[0]) from error
    except (YAMLError, ValueError) as error:
        raise SourceError(f"{name}:1", str(error).split("\n")[0]) from error
    return _Reader(name).read(raw, f"{name}:{_line(raw, 0) + 1}", ())


def _look_through(text: str, name: str) -> None:
    """Refuse what would only show when it is too late: endless nesting, and aliases within themselves."""
    open_anchors: list[str | None] = []
    for event in YAML(typ="rt", pure=True).parse(text):
        place = f"{name}:{event.start_mark.line + 1}"
        if isinstance(event, AliasEvent) and event.anchor in open_anchors:
            raise SourceError(place, f"the alias *{event.anchor} is within itself")
        if len(open_anchors) > MOST_LEVELS:
            raise SourceError(place, "nested too deeply")
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            open_anchors.append(event.anchor)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            open_anchors.pop()


def where(tree: Any, path: Path) -> str:
    """The place of the deepest part of `path` that was written at all."""
    found = tree.where[None] if isinstance(tree, Map) else getattr(tree, "own", "")
    for step in path:
        if isinstance(tree, Map) and step in tree:
            found, tree = tree.where.get(str(step), found), tree[str(step)]
        elif isinstance(tree, Seq) and isinstance(step, int) and step < len(tree):
            found, tree = tree.where[step], tree[step]
        else:
            break
    return str(found)


def bare(tree: Any) -> Any:
    """The same as plain dicts and lists."""
    if isinstance(tree, dict):
        return {key: bare(value) for key, value in tree.items()}
    return [bare(item) for item in tree] if isinstance(tree, list) else tree


def _line(node: Any, otherwise: int) -> int:
    return int(node.lc.line) if isinstance(node, CommentedMap | CommentedSeq) else otherwise


class _Reader:
    """One walk over a parsed file: plain values, places kept, nothing without end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts = 0

    def read(self, node: Any, place: str, above: tuple[int, ...]) -> Any:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise SourceError(place, f"more than {MOST_PARTS} parts once its aliases are unfolded")
        if len(above) > MOST_LEVELS:
            raise SourceError(place, "nested too deeply")
        if isinstance(node, CommentedMap):
            return self._map(node, place, (*above, id(node)))
        if isinstance(node, CommentedSeq):
            return self._seq(node, place, (*above, id(node)))
        return self._scalar(node, place)

    def _map(self, node: CommentedMap, place: str, above: tuple[int, ...]) -> Map:
        self._untagged(node, place)
        result = Map(place)
        for key, value in node.items():
            line = node.lc.data[key][0] + 1 if node.lc.data and key in node.lc.data else None
            here = f"{self.name}:{line}" if line else place
            if not isinstance(key, str):
                raise SourceError(here, f"a key must be a word, and {key!r} is not; put it in quotes")
            result.put(str(key), self.read(value, here, above), here)
        return result

    def _seq(self, node: CommentedSeq, place: str, above: tuple[int, ...]) -> Seq:
        self._untagged(node, place)
        result = Seq(place)
        for index, value in enumerate(node):
            here = f"{self.name}:{node.lc.data[index][0] + 1}" if index in (node.lc.data or {}) else place
            result.put(self.read(value, here, above), here)
        return result

    @staticmethod
    def _untagged(node: CommentedMap | CommentedSeq, place: str) -> None:
        if node.tag.value:
            raise SourceError(place, f"a definition has no tags such as {node.tag.value}")

    @staticmethod
    def _scalar(node: Any, place: str) -> Any:
        if isinstance(node, ScalarBoolean):
            return bool(node)
        if isinstance(node, TaggedScalar):
            raise SourceError(place, f"a definition has no tags such as {node.tag.value}; quotes make text")
        if isinstance(node, float) and not math.isfinite(node):
            raise SourceError(place, "not a finite number")
        for kind in (bool, str, int, float):
            if isinstance(node, kind):
                return node if isinstance(node, bool) else kind(node)
        if node is None:
            return None
        words = (
            "a date; put it in quotes" if hasattr(node, "year") else "not plain text, number, list or mapping"
        )
        raise SourceError(place, f"this value is {words}")
