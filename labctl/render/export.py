"""What a client outside of a lab is set up from: keys, slurm.conf, and both as Kubernetes has them."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from labctl.definition import yamltext
from labctl.errors import UsageError
from labctl.render import rest
from labctl.render.layout import Layout, Secrets

#: Keys of slurm.conf that name a host, and how its address is told.
_HOSTS = {
    "SlurmctldHost": "{name}({address})",
    "AccountingStorageHost": "{address}",
    "AccountingStorageBackupHost": "{address}",
}


def munge_key(layout: Layout, secrets: Secrets) -> bytes:
    """The MUNGE key as /etc/munge/munge.key has it; one that the definition says itself wins.

    Raises:
        UsageError: the definition says it by a template, which only Ansible can read.
    """
    return _decoded("munge_key", layout.definition.vars.get("munge_key", secrets.munge_key))


def slurm_conf(text: str, layout: Layout) -> str:
    """The controller's slurm.conf for a host that knows none of the nodes by name.

    Args:
        text: as the controller has it.
        layout: where each node is.
    """
    head = f"# slurm.conf of the lab {layout.lab}, for clients that do not know its nodes by name.\n"
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return head + "".join(f"{_told(line, layout)}\n" for line in lines)


def kubernetes(layout: Layout, secrets: Secrets, conf: str) -> str:
    """A Secret with the keys and a ConfigMap with the rest, both named after the lab, as YAML for ``kubectl apply``.

    Args:
        layout: the lab.
        secrets: its secrets.
        conf: the client's slurm.conf.

    Raises:
        UsageError: see `munge_key`.
    """
    keys, facts = {"munge.key": munge_key(layout, secrets)}, {"slurm.conf": conf}
    if layout.definition.services.rest:
        jwt = layout.definition.vars.get("slurm_common_jwt_key", secrets.jwt_key)
        keys["jwt_hs256.key"] = _decoded("slurm_common_jwt_key", jwt)
        facts |= {rest.CA: secrets.ca_certificate, "rest_url": rest.url(layout)}
    encoded = {name: base64.b64encode(key).decode() for name, key in keys.items()}
    secret = _manifest("Secret", layout.lab, {"type": "Opaque", "data": encoded})
    return f"{secret}---\n{_manifest('ConfigMap', layout.lab, {'data': facts})}"


def _told(line: str, layout: Layout) -> str:
    """A line of slurm.conf with addresses where it names nodes."""
    addresses = {machine.node.name: str(machine.address) for machine in layout.machines}
    key, _, value = line.partition("=")
    name = value.split(" ", 1)[0]
    if name not in addresses:
        return line
    if key in _HOSTS:
        return f"{key}={_HOSTS[key].format(name=name, address=addresses[name])}"
    if key == "NodeName" and not re.search(r"\sNodeAddr=", line):
        return f"{line} NodeAddr={addresses[name]}"
    return line


def _manifest(kind: str, lab: str, content: dict[str, Any]) -> str:
    return yamltext.write(
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": f"slurm-{lab}"}, **content},
        f"How clients of the lab {lab} reach it.",
    )


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(
            f"{name} is not known here",
            why="the definition says it by a template, which Ansible reads when it converges the lab",
            hint="the key is where that template reads it",
        ) from error
