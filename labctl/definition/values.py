"""The values of a definition's fields: what each may look like, and the words for one that may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

#: Debian policy 9.2.2: below 1000 are system accounts, from 60000 on reserved ones (64030 is slurm).
FIRST_ID, LAST_ID = 1000, 59999

#: RFC 1918: what may be a lab's network.
PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def refuse(words: str) -> PydanticCustomError:
    """An error of a field whose message is `words`, unchanged."""
    return PydanticCustomError("value", "{words}", {"words": words})


def _matching(pattern: str, words: str) -> Callable[[str], str]:
    expression = re.compile(pattern)

    def check(text: str) -> str:
        if not expression.fullmatch(text):
            raise refuse(f"{text!r} {words}")
        return text

    return check


def network(text: str) -> str:
    """`text`, if it can be a lab's network: auto, or a part of RFC 1918's as CIDR."""
    if text == "auto":
        return text
    try:
        parsed = IPv4Network(text, strict=False)
    except ValueError:
        raise refuse(f"{text!r} is neither auto nor an IPv4 network such as 10.20.30.0/24") from None
    if "/" not in text or str(parsed) != text:
        raise refuse(f"{text!r} is not how a network is written; did you mean {_suggested(text, parsed)}?")
    if not any(parsed.subnet_of(private) for private in PRIVATE):
        raise refuse(f"{text} is not a private network; allowed: any part of {', '.join(map(str, PRIVATE))}")
    return text


def _suggested(text: str, parsed: IPv4Network) -> str:
    return str(parsed) if "/" in text else str(IPv4Network(f"{text}/24", strict=False))


def _minutes(value: Any) -> Any:
    """Slurm takes a bare number for minutes, and YAML reads one as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_TIME = r"UNLIMITED|INFINITE|\d+|\d+:\d{1,2}|\d+:\d{1,2}:\d{1,2}|\d+-\d{1,2}(:\d{1,2}){0,2}"


def _text(pattern: str, words: str) -> AfterValidator:
    return AfterValidator(_matching(pattern, words))


LabName = Annotated[
    str,
    _text(
        r"[a-z][a-z0-9-]{0,30}",
        "is not a name for a lab: lower-case letters, digits and -, a letter first, 31 at most",
    ),
]
AccountName = Annotated[
    str,
    _text(
        r"[a-z_][a-z0-9_-]{0,31}",
        "is not a name for an account: lower-case letters, digits, - and _, a letter first, 32 at most",
    ),
]
PartitionName = Annotated[
    str,
    _text(
        r"(?!(?i:default)$)[A-Za-z][A-Za-z0-9_-]{0,30}",
        "is not a name for a partition: letters, digits, - and _, a letter first, 31 at most, not DEFAULT",
    ),
]
Feature = Annotated[
    str, _text(r"[A-Za-z][A-Za-z0-9_.=-]*", "is not a feature: letters, digits, _ . = and -, a letter first")
]
GpuType = Annotated[
    str,
    _text(r"[a-z][a-z0-9_.-]*", "is not a GPU type: lower-case letters, digits, _ . and -"),
]
BoxName = Annotated[
    str,
    _text(
        r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?",
        "is not a box: the name of one of labctl's own, or OWNER/NAME of a Vagrant box",
    ),
]
AbsolutePath = Annotated[
    str,
    _text(r"(/[^/\s:\x00-\x1f\"'\\]+)+", "is not an absolute path without spaces, quotes and colons"),
]
#: passwd(5) separates fields by colons; LDAP's gecos attribute (RFC 2307) is an IA5String, so ASCII.
Gecos = Annotated[str, _text(r"[\x20-\x39\x3b-\x7e]*", "must be plain ASCII without colons and line ends")]
VariableName = Annotated[
    str,
    _text(r"[A-Za-z_][A-Za-z0-9_]*", "is not an Ansible variable: letters, digits and _, no digit first"),
]
SlurmTime = Annotated[
    str,
    BeforeValidator(_minutes),
    _text(_TIME, "is not a time of Slurm's: minutes, h:m:s, days-hours, days-h:m:s or UNLIMITED"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^({_TIME})$"}]}
    ),
]
Network = Annotated[str, AfterValidator(network)]
Uid = Annotated[int, Field(strict=True, ge=FIRST_ID, le=LAST_ID)]
Gid = Annotated[int, Field(strict=True, ge=FIRST_ID, le=LAST_ID)]
