"""Every node is there, has its services running and knows the others."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections, records, starts_at_boot
from clusterfacts.questions import UNITS
from clusterfacts.topology import Topology

CLOCKS = 60  # seconds; MUNGE refuses credentials that are five minutes off


@pytest.mark.quick
def test_node_answers(node: str, facts: Sections) -> None:
    assert facts["boot"], (
        f"{node}: a shell answered but not with the facts it was asked for: {facts['stderr']}"
    )


@pytest.mark.quick
def test_clock_is_right(node: str, facts: Sections) -> None:
    seen = float(facts["clock"] or 0)
    early, late = seen - float(facts["received"]), float(facts["sent"]) - seen
    assert early < CLOCKS, f"{node}: its clock is {early:.0f} s ahead of this machine's; MUNGE will refuse it"
    assert late < CLOCKS, f"{node}: its clock is {late:.0f} s behind this machine's; MUNGE will refuse it"


def test_services_run_and_start_at_boot(topology: Topology, node: str, facts: Sections) -> None:
    seen = {
        unit["Id"]: unit
        for block in facts["units"].split("\n\n")
        for unit in records([" ".join(block.splitlines())])
        if "Id" in unit
    }
    for unit in (unit for role, unit in UNITS.items() if node in topology.nodes(role)):
        state = seen.get(unit, {})
        active, loaded = state.get("ActiveState", "unknown"), state.get("LoadState", "unknown")
        assert active == "active", (
            f"{node}: {unit} is {active} ({loaded}), expected active; try: journalctl -u {unit}"
        )
        enabled = facts.table("enabled").get(unit, ["unknown"])[0]
        assert starts_at_boot(unit, enabled, facts["rc"].split()), (
            f"{node}: {unit} is {enabled}: it would not survive a reboot"
        )


def test_no_unit_has_failed(node: str, facts: Sections) -> None:
    seen = facts.table("failed")
    assert seen.pop("-", None), f"{node}: systemctl cannot list failed units: {facts['stderr']}"
    failed = sorted(seen)
    assert not failed, f"{node}: failed units: {', '.join(failed)}; try: systemctl status {failed[0]}"


def test_no_file_system_is_damaged(node: str, facts: Sections) -> None:
    damaged = {
        path.rpartition("/")[2]: count for path, count in facts.table("filesystems").items() if count != ["0"]
    }
    assert not damaged, f"{node}: the kernel has found errors on {', '.join(damaged)}; try: dmesg | grep EXT4"


def test_names_of_all_nodes_resolve(topology: Topology, node: str, facts: Sections) -> None:
    seen = facts.table("hosts")
    for other, addresses in seen.items():
        assert addresses, f"{node}: cannot resolve the name {other}"
        if other != node:
            address = str(topology.var(other, "ansible_host", addresses[0]))
            expected = address if address[:1].isdigit() else addresses[0]
            assert addresses[0] == expected, (
                f"{node}: {other} resolves to {addresses[0]}, the inventory says {expected}"
            )
            assert not addresses[0].startswith("127."), (
                f"{node}: {other} resolves to {addresses[0]}, the loopback"
            )


def test_own_name_is_not_the_loopback(node: str, facts: Sections) -> None:
    """A name that is 127.0.1.1 at home makes Slurm, MUNGE and LDAP tell the others a wrong address."""
    own = facts.table("hosts").get(node, [])
    assert not [one for one in own if one.startswith("127.")], f"{node}: its own name resolves to {own[0]}"


@pytest.mark.nodes("slurmd")
def test_cgroup_v2(node: str, facts: Sections) -> None:
    seen = facts["cgroup"].strip()
    assert seen == "cgroup2fs", f"{node}: /sys/fs/cgroup is {seen}, expected cgroup2fs (cgroup v2)"
