"""What a lab's REST daemon is told: its address and certificate, and the key of tokens."""

from __future__ import annotations

from typing import Any

from labctl.definition.models import Definition
from labctl.render.layout import Layout, Machine, Secrets

#: The file in a lab's directory that has the certificate of the lab's authority.
CA = "ca.pem"
_PORT = 6820  # slurmrestd(8)


def port(definition: Definition) -> object:
    """Where the daemon listens, as the definition's variables have it."""
    return definition.vars.get("slurmrestd_port", _PORT)


def url(layout: Layout) -> str:
    """Where clients reach the daemon, as the definition's variables have it; nothing where there is none."""
    if not layout.definition.services.rest:
        return ""
    return f"https://{_machine(layout).address}:{port(layout.definition)}"


def files(layout: Layout, secrets: Secrets) -> dict[str, str]:
    """What clients need besides a token: the authority's certificate."""
    return {CA: secrets.ca_certificate} if layout.definition.services.rest else {}


def of_all(layout: Layout, secrets: Secrets) -> dict[str, Any]:
    """The role slurmrestd's, and what the suite has to know to ask it."""
    if not layout.definition.services.rest:
        return {}
    machine = _machine(layout)
    return {
        "slurmrestd_tls_address": str(machine.address),
        "slurmrestd_tls_certificate": secrets.certificates[machine.node.name],
        "verify_rest_ca": secrets.ca_certificate,
    }


def hidden(layout: Layout, secrets: Secrets) -> dict[str, Any]:
    """What nobody but the lab's owner may read."""
    if not layout.definition.services.rest:
        return {}
    return {
        "slurm_common_jwt_key": secrets.jwt_key,
        "slurmrestd_tls_key": secrets.private_keys[_machine(layout).node.name],
    }


def _machine(layout: Layout) -> Machine:
    return next(machine for machine in layout.machines if "slurmrestd" in machine.node.roles)
