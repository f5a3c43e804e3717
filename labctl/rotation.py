"""Rotation: what it takes to give a running cluster a new secret of one kind. Nothing is touched here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from labctl.definition.models import Definition
    from labctl.render.layout import Secrets

Kind = Literal["munge", "jwt", "tls", "ldap"]

#: What each kind is called in a sentence.
NAMES: Mapping[Kind, str] = {
    "munge": "the MUNGE key",
    "jwt": "the key of Slurm's tokens",
    "tls": "the servers' certificates",
    "ldap": "the users' passwords",
}
#: The roles' variables that hold it. Where a definition says them itself, there is nothing that labctl could make.
_VARIABLES: Mapping[Kind, tuple[str, ...]] = {
    "munge": ("munge_key",),
    "jwt": ("slurm_common_jwt_key",),
    "tls": (
        "ldap_server_tls_ca",
        "ldap_server_tls_certificate",
        "ldap_server_tls_key",
        "ldap_client_tls_ca",
        "slurmrestd_tls_certificate",
        "slurmrestd_tls_key",
        "registry_certificate",
        "registry_key",
    ),
    "ldap": ("lab_password_hashes",),
}


@dataclass(frozen=True)
class Stage:
    """One run of a playbook.

    Attributes:
        does: what it is for.
        groups: of the inventory, whose nodes it changes.
        playbook: its name.
        tags: only tasks with these, comma separated; empty for all.
        overlap: it runs with `overlapping` secrets, and not yet with the new ones.
    """

    does: str
    groups: tuple[str, ...]
    playbook: str = "site"
    tags: str = ""
    overlap: bool = False


_SERVERS = Stage(
    "servers show new certificates",
    ("ldap_server", "slurmrestd", "registry"),
    tags="ldap_server,slurmrestd,registry",
)
_STAGES: Mapping[Kind, tuple[Stage, ...]] = {
    "munge": (
        Stage(
            "the key lies ready, the controller stands still while every munged takes it up",
            ("munge",),
            playbook="munge_rotate",
        ),
    ),
    "jwt": (
        Stage("slurmdbd and slurmctld take up the key", ("slurmdbd", "slurmctld"), tags="slurmdbd,slurmctld"),
    ),
    "tls": (_SERVERS,),
    "ldap": (Stage("the directory has the new passwords", ("ldap_server",), tags="ldap_server"),),
}
_AUTHORITY = (
    Stage(
        "clients trust both authorities",
        ("ldap_client", "containers"),
        tags="ldap_client,containers",
        overlap=True,
    ),
    _SERVERS,
    Stage(
        "clients trust the new authority alone", ("ldap_client", "containers"), tags="ldap_client,containers"
    ),
)


def stages(kind: Kind, *, authority: bool = False) -> tuple[Stage, ...]:
    """What is done, in order; `authority` is for a new one, besides the certificates that it signs."""
    return _AUTHORITY if authority else _STAGES[kind]


def overlapping(before: Secrets, after: Secrets) -> Secrets:
    """Both authorities are trusted, and servers show what they had: nobody meets a certificate that is new to them."""
    return replace(before, ca_certificate=after.ca_certificate + before.ca_certificate)


def given(kind: Kind, definition: Definition) -> str:
    """The variable by which a definition has a secret of this kind itself; empty if it has none."""
    return next(_given(kind, definition), "")


def _given(kind: Kind, definition: Definition) -> Iterator[str]:
    for variables in (definition.vars, *(node.vars for node in definition.machines())):
        yield from (name for name in _VARIABLES[kind] if name in variables)
        if kind == "ldap":
            yield from ("ldap_server_users" for user in _users(variables) if "password_hash" in user)


def _users(variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    users = variables.get("ldap_server_users")
    return [user for user in users if isinstance(user, Mapping)] if isinstance(users, list) else []
