"""The user that the suite works as, and that user's secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from .connection import NodeError
from .topology import Topology, User


@dataclass(frozen=True)
class Account:
    """The suite's user.

    Attributes:
        password: ``verify_password`` of the inventory, else the environment's ``VERIFY_PASSWORD``.
        key: the private key ``verify_ssh_key``, a file on this machine; none where none is named.
        client: the node that binds are tried from: one that is not the LDAP server, where there is one.
    """

    user: User
    password: str = field(repr=False)
    key: Path | None
    client: str

    @classmethod
    def of(cls, topology: Topology) -> Account:
        """Read it from the inventory.

        Raises:
            NodeError: the inventory names no user at all.
        """
        user = topology.user
        if user is None:
            raise NodeError("the inventory names no user: set verify_user")
        password = topology.anywhere("verify_password")
        key = topology.anywhere("verify_ssh_key")
        clients = topology.nodes("ldap_client", but="ldap_server") or topology.nodes("ldap_client")
        return cls(
            user=user,
            # An encrypted string that could not be decrypted comes as a dictionary.
            password=password if isinstance(password, str) else os.environ.get("VERIFY_PASSWORD", ""),
            key=Path(key).expanduser() if key else None,
            client=next(iter(clients), None) or str(topology.first("ldap_server")),
        )
