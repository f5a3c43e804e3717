"""The secrets of a lab: generated for it alone, kept in one file that only its owner can read."""

from __future__ import annotations

import base64
import io
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from labctl.errors import LabError
from labctl.render.layout import Machine, Secrets

_MUNGE_KEY_BYTES = 128  # mungekey(8) makes 1024 bits by default
_JWT_KEY_BYTES = 32  # HS256 (RFC 7518, 3.2): as long as what it hashes to, or longer
_TLS_SERVERS = {"ldap_server", "slurmrestd"}


def load_or_generate(path: Path, lab: str, machines: Sequence[Machine], users: Sequence[str]) -> Secrets:
    """The lab's secrets: what the file has, and new ones for nodes and users that came since.

    Args:
        path: the lab's ``secrets.yml``; written with mode 0600 if anything was added.
        lab: the lab's name; it is in the name of its certificate authority.
        machines: each one gets a TLS certificate and key if it serves LDAP or REST. Slurmdbd gets a
            password for its database, slurmrestd a key of tokens.
        users: each one gets a password.

    Raises:
        LabError: the file cannot be read.
    """
    stored = _load(path)
    known = dict(stored)
    if "ca_key" not in stored:
        stored["ca_key"], stored["ca_certificate"] = _keys().authority(lab)
        stored["certificates"], stored["private_keys"] = {}, {}
    stored.setdefault("munge_key", base64.b64encode(os.urandom(_MUNGE_KEY_BYTES)).decode())
    for machine in machines:
        if _TLS_SERVERS & set(machine.node.roles) and machine.node.name not in stored["certificates"]:
            key, certificate = _keys().certificate(stored["ca_key"], stored["ca_certificate"], machine)
            stored["private_keys"] = {**stored["private_keys"], machine.node.name: key}
            stored["certificates"] = {**stored["certificates"], machine.node.name: certificate}
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
    if stored != known:
        _save(path, stored)
    return Secrets(**{key: value for key, value in stored.items() if key != "ca_key"})


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


def write_private(path: Path, text: str) -> None:
    """Writes a file that nobody but its owner can read at any moment; it is whole or it is not there."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(draft, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(text)
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
