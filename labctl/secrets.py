"""The secrets of a lab: generated for it alone, kept in one file that only its owner can read."""

from __future__ import annotations

import base64
import io
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from labctl.errors import LabError
from labctl.render.layout import Machine, Secrets
from labctl.rotation import Kind

_MUNGE_KEY_BYTES = 128  # mungekey(8) makes 1024 bits by default
_JWT_KEY_BYTES = 32  # HS256 (RFC 7518, 3.2): as long as what it hashes to, or longer
_TLS_SERVERS = {"ldap_server", "slurmrestd", "registry"}
#: What of the file is a secret of each kind.
_KINDS: Mapping[Kind, tuple[str, ...]] = {
    "munge": ("munge_key",),
    "jwt": ("jwt_key",),
    "tls": ("certificates", "private_keys"),
    "ldap": ("passwords", "password_hashes"),
}
_AUTHORITY = ("ca_key", "ca_certificate")


@dataclass(frozen=True)
class Renewal:
    """A lab's secrets as they are, and with new ones of one kind; `keep` writes these."""

    before: Secrets
    after: Secrets
    content: dict[str, Any] = field(repr=False)


def load_or_generate(path: Path, lab: str, machines: Sequence[Machine], users: Sequence[str]) -> Secrets:
    """The lab's secrets: what the file has, and new ones for nodes and users that came since.

    Args:
        path: the lab's ``secrets.yml``; written with mode 0600 if anything was added.
        lab: the lab's name; it is in the name of its certificate authority.
        machines: each one gets a TLS certificate and key if it serves LDAP, REST or images. Slurmdbd gets a
            password for its database, slurmrestd a key of tokens.
        users: each one gets a password.

    Raises:
        LabError: the file cannot be read.
    """
    stored = _load(path)
    complete = _completed(stored, lab, machines, users)
    if complete != stored:
        _save(path, complete)
    return _secrets(complete)


def renewed(
    path: Path,
    lab: str,
    machines: Sequence[Machine],
    users: Sequence[str],
    kind: Kind,
    *,
    authority: bool = False,
) -> Renewal:
    """New secrets of one kind beside the others; nothing of them is written yet.

    Args:
        path: the lab's ``secrets.yml``.
        lab: see `load_or_generate`, as for the next two.
        machines: the lab's.
        users: the lab's.
        kind: munge, jwt, tls or ldap.
        authority: a new certificate authority as well.

    Raises:
        LabError: the file cannot be read.
    """
    before = load_or_generate(path, lab, machines, users)
    gone = (*_KINDS[kind], *(_AUTHORITY if authority else ()))
    left = {name: value for name, value in _load(path).items() if name not in gone}
    content = _completed(left, lab, machines, users)
    return Renewal(before, _secrets(content), content)


def keep(path: Path, renewal: Renewal) -> None:
    """Write the new secrets, whole or not at all; those that they replace are nowhere in the file any more."""
    _save(path, renewal.content)


def _completed(
    known: Mapping[str, Any], lab: str, machines: Sequence[Machine], users: Sequence[str]
) -> dict[str, Any]:
    """What is known, and what is missing of it made anew."""
    stored = dict(known)
    if "ca_key" not in stored:
        stored["ca_key"], stored["ca_certificate"] = _keys().authority(lab)
        stored["certificates"], stored["private_keys"] = {}, {}
    stored.setdefault("munge_key", base64.b64encode(os.urandom(_MUNGE_KEY_BYTES)).decode())
    certificates, private_keys = dict(stored.get("certificates", {})), dict(stored.get("private_keys", {}))
    for machine in machines:
        name = machine.node.name
        if _TLS_SERVERS & set(machine.node.roles) and name not in certificates:
            private_keys[name], certificates[name] = _keys().certificate(
                stored["ca_key"], stored["ca_certificate"], machine
            )
    stored["certificates"], stored["private_keys"] = certificates, private_keys
    if "storage_password" not in stored and any("slurmdbd" in machine.node.roles for machine in machines):
        stored["storage_password"] = secrets.token_urlsafe(24)
    if "jwt_key" not in stored and any("slurmrestd" in machine.node.roles for machine in machines):
        stored["jwt_key"] = base64.b64encode(os.urandom(_JWT_KEY_BYTES)).decode()
    passwords, password_hashes = dict(stored.get("passwords", {})), dict(stored.get("password_hashes", {}))
    for user in users:
        if user not in passwords:
            passwords[user] = secrets.token_urlsafe(18)
            password_hashes[user] = _keys().password_hash(passwords[user])
    stored["passwords"], stored["password_hashes"] = passwords, password_hashes
    return stored


def _secrets(content: Mapping[str, Any]) -> Secrets:
    return Secrets(**{name: value for name, value in content.items() if name != "ca_key"})


def ssh_key(path: Path, comment: str) -> str:
    """The public half of the lab's SSH key, as one OpenSSH line; the pair is made if it is not there.

    Args:
        path: of the private half, mode 0600; the public half is beside it with ``.pub``.
        comment: ends the public line.
    """
    public = path.with_name(path.name + ".pub")
    if not (path.is_file() and public.is_file()):
        private, line = _keys().ssh_pair(comment)
        write_private(path, private)
        public.write_text(line)
    return public.read_text().strip()


def write_private(path: Path, content: str | bytes) -> None:
    """Writes a file that nobody but its owner can read at any moment; it is whole or it is not there."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(draft, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
    draft.replace(path)


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(YAML(typ="safe", pure=True).load(path))
    except (OSError, ValueError, TypeError, YAMLError) as error:
        raise LabError(
            f"the lab's secrets cannot be read from {path}",
            why=str(error),
            hint="destroy the lab, or put the file back as it was: the machines know these secrets",
        ) from error


def _save(path: Path, stored: dict[str, Any]) -> None:
    text = io.StringIO()
    yaml = YAML()
    yaml.dump(stored, text)
    write_private(path, "# Secrets of this lab. Nothing else may read them.\n" + text.getvalue())


def _keys() -> ModuleType:
    """What makes keys; imported when one is missing, because that takes longer than most commands."""
    from labctl import keys  # noqa: PLC0415

    return keys
