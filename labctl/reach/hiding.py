"""What must not leave a lab with a bug report: keys, passwords and tokens, blanked wherever they stand.

Two nets: the lab's own secrets are known word for word; those of others are known by the names in front of them or by
their form.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from labctl.files import LabFiles

HIDDEN = b"[left out]"
# A shorter word may stand anywhere and mean nothing.
_SHORTEST = 6
_PUBLIC = ("ca_certificate", "certificates")
# What names of secrets end with: ldap_default_authtok, StoragePass, munge_key, lab_password_hashes.
_NAME = (
    r"[\w.-]*(?:pass(?:word|phrase)?s?|secrets?|authtok|rootpw|bindpw|tokens?|hash(?:es)?"
    r"|(?:munge|tls|private|secret|api|ca|jwt)_?keys?)"
)
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_UNLESS_HIDDEN = r"(?!\[left out\])"
_FORMS = tuple(
    (re.compile(pattern.encode(), re.IGNORECASE | re.DOTALL), instead)
    for pattern, instead in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", HIDDEN),
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", HIDDEN),  # a JWT
        (r"MUNGE:[\w+/=]{16,}:?", HIDDEN),
        (r"\{(?:CRYPT|S?SHA\d*|S?MD5|PBKDF2[\w-]*|ARGON2)\}[^\s\"']+", HIDDEN),
        (r"\$(?:1|2[aby]|5|6|7|y|gy|argon2\w*)\$[^\s:\"']{8,}", HIDDEN),
        (r"(://[^\s/:@]*:)[^\s/@]+(?=@)", rb"\1" + HIDDEN),
        # The rest of the line is the value, as in YAML and sssd.conf.
        (rf"((?:\A|\n)[ \t-]*[\"']?{_NAME}[\"']?[ \t]*[:=][ \t]*)[^\s|>{{\[][^\n]*", rb"\1" + HIDDEN),
        # One of several in a line, as in slurm.conf, JSON and command lines.
        (
            rf"(\b{_NAME}[\"']?[ \t]*[:=][ \t]*){_UNLESS_HIDDEN}(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&}}]+)",
            rb"\1" + HIDDEN,
        ),
        (rf"(\s--?{_NAME}[ \t]+){_UNLESS_HIDDEN}\S+", rb"\1" + HIDDEN),
        (rf"(\bpasswd=){_UNLESS_HIDDEN}[^\s,;]+", rb"\1" + HIDDEN),  # passwd: is NSS's map of users
    )
)


def secrets_of(files: LabFiles) -> tuple[bytes, ...]:
    """The lab's own secrets: all of ``secrets.yml``, and what ``lab.yml`` sets under the name of one."""
    found = {
        word
        for name, value in _load(files.secrets).items()
        if name not in _PUBLIC
        for text in _texts(value)
        for word in _words(text)
    }
    found |= {word for text in _named(_load(files.definition)) for word in _words(text)}
    with suppress(OSError):
        found |= set(_words(files.key.read_text()))
    return tuple(sorted(found, key=len, reverse=True))


def hide(content: bytes, secrets: Iterable[bytes]) -> bytes:
    """The content without these secrets, and without anything that looks like one."""
    for secret in secrets:
        content = content.replace(secret, HIDDEN)
    for form, instead in _FORMS:
        content = form.sub(instead, content)
    return content


def _load(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, YAMLError):
        loaded = YAML(typ="safe", pure=True).load(path)
        if isinstance(loaded, dict):
            return loaded
    return {}


def _named(value: Any, *, secret: bool = False) -> Iterator[str]:
    """The texts below keys that are names of secrets."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _named(below, secret=secret or bool(_SECRET_NAME.fullmatch(str(key))))
    elif isinstance(value, list):
        for below in value:
            yield from _named(below, secret=secret)
    elif secret:
        yield str(value)


def _texts(value: Any) -> Iterator[str]:
    return _named(value, secret=True)


def _words(text: str) -> Iterator[bytes]:
    """A secret as it may stand in a file: its lines, one by one, and what it is once it is decoded."""
    for line in text.splitlines():
        if len(line.strip()) >= _SHORTEST and "-----" not in line:
            yield line.strip().encode()
    with suppress(ValueError, binascii.Error):
        decoded = base64.b64decode(text, validate=True)
        if len(decoded) >= _SHORTEST:
            yield decoded
