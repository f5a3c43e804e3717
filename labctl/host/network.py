"""Whether machines can talk: a subnet of their own, and no firewall that drops what is on their bridge.

A chain that drops what it does not know keeps machines from their addresses (DHCP, on the host's input) or from each
other and the world (forward). libvirt's own rules let labs pass where they stand in the same chains.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

from labctl import layouts
from labctl.definition.models import Definition
from labctl.errors import LabError
from labctl.host.check import Check, mended_by
from labctl.process import installed

#: What the names of labs' bridges begin with; see `labctl.providers.networks`.
BRIDGES = "lc-"
_DEADLINE = 20  # seconds
# Tables whose owners let libvirt's bridges pass by themselves, and those that iptables shows as well.
_FRIENDS = {"firewalld", "libvirt_network"}
_OF_IPTABLES = {("ip", "filter"), ("ip6", "filter")}
_ONLY_ROOT = "only root can look: sudo labctl doctor"


def subnet(definition: Definition) -> Check:
    """Whether the network that the definition names is free, or any is."""
    from labctl.providers.libvirt import Hypervisor  # noqa: PLC0415 - a host may lack libvirt's library

    wanted = layouts.wanted_subnet(definition)
    try:
        hypervisor = Hypervisor()
        own = hypervisor.network(definition.name)
        if own and wanted in (None, own.subnet):
            return Check("subnet", True, f"{own.subnet} is the lab's own")
        return Check("subnet", True, f"{hypervisor.lease(definition.name, wanted).subnet} is free")
    except LabError as error:
        return Check("subnet", False, error.why or error.what, error.hint)


def firewall() -> Check:
    """Whether the host takes what machines send to it, DHCP above all."""
    if os.geteuid() != 0:
        return Check("firewall", None, _ONLY_ROOT)
    rules = _iptables("INPUT")
    commands = _nft_commands("input")
    if _drops(rules, "INPUT"):
        commands = (*commands, ("iptables", "-I", "INPUT", "-i", f"{BRIDGES}+", "-j", "ACCEPT"))
    if not commands:
        return Check("firewall", True, "nothing drops what machines send to this host")
    return Check("firewall", False, _named(commands), mended_by(commands), commands)


def forwarding() -> Check:
    """Whether machines reach each other and the world: Docker sets FORWARD to DROP, and has bridges pass through it."""
    if os.geteuid() != 0:
        return Check("forward", None, _ONLY_ROOT)
    rules = _iptables("FORWARD")
    commands = _nft_commands("forward")
    if _drops(rules, "FORWARD"):
        chain = "DOCKER-USER" if any("DOCKER-USER" in rule for rule in rules) else "FORWARD"
        commands += tuple(
            ("iptables", "-I", chain, way, f"{BRIDGES}+", "-j", "ACCEPT") for way in ("-i", "-o")
        )
    if not commands:
        return Check("forward", True, "nothing drops what machines send to each other")
    whose = "Docker's FORWARD policy: " if any("DOCKER" in rule for rule in rules) else ""
    return Check("forward", False, whose + _named(commands), mended_by(commands), commands)


def _drops(rules: list[str], chain: str) -> bool:
    """Whether an iptables chain drops what labs send: neither libvirt nor anybody else has let it pass."""
    let_pass = any("LIBVIRT_" in rule or BRIDGES in rule for rule in rules)
    return f"-P {chain} DROP" in rules and not let_pass


def _iptables(chain: str) -> list[str]:
    """The rules of a chain, and of Docker's own for users."""
    if not installed("iptables"):
        return []
    rules = _said("iptables", "-S", chain).splitlines()
    return rules + (_said("iptables", "-S", "DOCKER-USER").splitlines() if chain == "FORWARD" else [])


def _nft_commands(hook: str) -> tuple[tuple[str, ...], ...]:
    """What lets labs pass through each nftables chain that would drop them."""
    found = [(chain["family"], chain["table"], chain["name"]) for chain in _nft_chains(hook)]
    accept = ("iifname", f"{BRIDGES}*", "accept")
    return tuple(("nft", "insert", "rule", *chain, *accept) for chain in found)


def _nft_chains(hook: str) -> Iterator[dict[str, Any]]:
    ruleset = _said("nft", "--json", "list", "ruleset") if installed("nft") else ""
    parts = json.loads(ruleset or "{}").get("nftables", [])
    rules = [part["rule"] for part in parts if "rule" in part]
    for chain in (part["chain"] for part in parts if "chain" in part):
        place = (chain["family"], chain["table"])
        if chain.get("hook") != hook or chain.get("policy") != "drop":
            continue
        passed = any(
            BRIDGES in json.dumps(rule) for rule in rules if (rule["family"], rule["table"]) == place
        )
        if not passed and place not in _OF_IPTABLES and chain["table"] not in _FRIENDS:
            yield chain


def _named(commands: tuple[tuple[str, ...], ...]) -> str:
    chains = [
        " ".join(command[3:6]) if command[0] == "nft" else f"iptables {command[2]}" for command in commands
    ]
    return f"dropped by {', '.join(dict.fromkeys(chains))}"


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DEADLINE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
