"""YAML as labctl writes it: the same to readers of YAML 1.1 (Ansible) and of 1.2 (labctl itself)."""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@,+-]*")
#: What YAML 1.1 takes for a truth value or for nothing.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class Unsafe(str):
    """Text that Ansible must not take for a template: it is tagged where it looks like one."""

    __slots__ = ()


class _Representer(SafeRepresenter):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - aliases are for programs, not for readers
        return True


def _style(text: str) -> str | None:
    if "\n" in text and text.isprintable() is False and _block(text):
        return "|"
    return None if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else '"'


def _block(text: str) -> bool:
    """A PEM file and its like: lines of printable characters, none of them empty or indented."""
    lines = text.removesuffix("\n").split("\n")
    return all(line.isprintable() and line and not line[0].isspace() for line in lines)


def _text(representer: SafeRepresenter, data: str) -> ScalarNode:
    return representer.represent_scalar("tag:yaml.org,2002:str", data, style=_style(data))


def _unsafe(representer: SafeRepresenter, data: Unsafe) -> ScalarNode:
    if not any(mark in data for mark in ("{{", "{%", "{#")):
        return _text(representer, str(data))
    return representer.represent_scalar("!unsafe", str(data), style='"')


_Representer.add_representer(str, _text)
_Representer.add_representer(Unsafe, _unsafe)


def write(data: Any, comment: str = "") -> str:
    """`data` as YAML, below `comment` (several lines, if need be)."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = True
    yaml.width = 4096
    stream = io.StringIO()
    yaml.dump(data, stream)
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + stream.getvalue()
