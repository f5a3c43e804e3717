"""What a host can get wrong, each with a host that does, and what mends it there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, by_name
from hypervisors import machine, volume
from layouts import lay_out
from small_lab import small

from labctl import host, kvm
from labctl.console import BaseReporter
from labctl.errors import HostError
from labctl.host import Check, checks, distribution, network, repair
from labctl.providers.libvirt import Hypervisor

FEDORA = ("ID=fedora", "VERSION_ID=41")


def check(name: str, *overrides: str) -> Check:
    return by_name(checks(small(*overrides)))[name]


# Distributions


@pytest.mark.parametrize(
    ("lines", "install"),
    [
        (("ID=debian",), "apt-get install -y --no-install-recommends qemu-utils"),
        (("ID=ubuntu", "ID_LIKE=debian"), "apt-get install -y --no-install-recommends qemu-utils"),
        (
            ("ID=linuxmint", 'ID_LIKE="ubuntu debian"'),
            "apt-get install -y --no-install-recommends qemu-utils",
        ),
    ],
)
def test_packages_have_the_names_of_the_distribution(
    good: Host, lines: tuple[str, ...], install: str
) -> None:
    good.is_called(*lines)
    good.without("qemu-img")
    assert install in check("programs").fix


def test_fedora_has_other_names_and_another_daemon(good: Host) -> None:
    good.is_called(*FEDORA)
    found = check("programs")
    assert found.detail == "missing: virtqemud"
    assert "dnf install -y --setopt=install_weak_deps=False libvirt-daemon-driver-qemu" in found.fix
    good.programs.add("virtqemud")
    good.without("libvirtd")
    assert check("programs").ok
    assert check("libvirt").ok


def test_a_distribution_that_nobody_knows_is_not_touched(good: Host, reporter: BaseReporter) -> None:
    good.is_called("ID=plan9")
    good.without("qemu-img")
    found = check("programs")
    assert (found.ok, found.commands) == (False, ())
    assert found.fix == "install what Debian has in qemu-utils"
    with pytest.raises(HostError, match="programs cannot be installed from here"):
        host.fix([found], reporter)
    good.release.unlink()
    assert distribution.here() is None


@pytest.mark.parametrize(
    ("lines", "systemd", "started"),
    [
        (("ID=debian",), True, {"systemctl": ["enable --now libvirtd.service"]}),
        (("ID=ubuntu",), False, {"virtlogd": ["--daemon"], "libvirtd": ["--daemon"]}),
        (
            FEDORA,
            True,
            {"systemctl": ["enable --now virtqemud.socket virtnetworkd.socket virtstoraged.socket virtlogd.socket"]},
        ),
        (FEDORA, False, {key: ["--daemon"] for key in ("virtlogd", "virtnetworkd", "virtstoraged", "virtqemud")}),
    ],
)  # fmt: skip
def test_libvirt_is_started_as_the_distribution_does(
    good: Host, tmp_path: Path, lines: tuple[str, ...], *, systemd: bool, started: dict[str, list[str]]
) -> None:
    good.is_called(*lines)
    if systemd:
        (good.run / "systemd" / "system").mkdir(parents=True)
    for program in ("systemctl", "mkdir", "rm", "virtlogd", "virtnetworkd", "virtstoraged", "virtqemud"):
        good.programs.add(program)
    repair.start_libvirt(tmp_path / "log")
    for program in ("systemctl", "virtlogd", "virtnetworkd", "virtstoraged", "virtqemud", "libvirtd"):
        assert good.programs.calls(program) == started.get(program, []), program


# Room


def test_limits_that_are_too_low_are_raised(good: Host, reporter: BaseReporter) -> None:
    good.watches(64)
    found = check("inotify")
    assert (found.ok, found.detail) == (False, "max_user_instances 64, max_user_watches 65536")
    assert "sysctl fs.inotify.max_user_instances=128" in found.fix
    good.programs.add("sysctl")
    host.fix(checks(small()), reporter)
    assert good.programs.calls("sysctl") == ["fs.inotify.max_user_instances=128"]


def test_machines_that_run_have_their_memory_and_their_disks(good: Host) -> None:
    good.memory(512)
    good.free_disk = 0
    bare = by_name(checks(small()))
    assert (bare["memory"].ok, bare["disk"].ok) == (False, False)
    running = by_name(checks(small(), {"head": 768, "cpu-0": 1024, "cpu-1": 1024}))
    assert (running["memory"].ok, running["disk"].ok) == (True, True)


def test_files_are_counted_for_all_nodes(good: Host) -> None:
    good.files = 256 + 3 * 32
    assert check("open files").ok
    good.files -= 1
    found = check("open files")
    assert (found.ok, found.fix.split(",")[0]) == (False, "ulimit -n 352")


def test_cpus_are_summed_over_the_lab(good: Host) -> None:
    assert good.files
    assert check("cpus", "nodes.@slurmd.cpus=7").ok
    assert check("cpus", "nodes.@slurmd.cpus=8").ok is None
    assert check("cpus", "nodes.@slurmd.cpus=8").detail == "small has 17 CPUs on 2 of this host"


def test_a_device_that_is_not_ours_to_open_is_given_to_its_group(
    good: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    good.kvm.touch()
    monkeypatch.setattr(kvm.os, "access", lambda *_: False)
    found = check("kvm")
    assert found.ok is None
    assert "chgrp kvm /dev/kvm; chmod 660 /dev/kvm" in found.fix


# Network


def iptables(good: Host, chain: str, *rules: str) -> None:
    """What iptables says of a chain."""
    lines = "\n".join(rules)
    good.programs.add("iptables", f'case "$*" in "-S {chain}") cat <<END\n{lines}\nEND\n;; esac')


def nft(good: Host, *parts: dict[str, Any]) -> None:
    """What nft says of everything."""
    good.programs.add("nft", f"cat <<END\n{json.dumps({'nftables': parts})}\nEND")


def chain(hook: str, table: str = "site", policy: str = "drop") -> dict[str, Any]:
    facts = {"family": "inet", "table": table, "name": hook, "hook": hook, "policy": policy}
    return {"chain": facts}


def test_a_firewall_that_keeps_machines_from_their_addresses(good: Host, reporter: BaseReporter) -> None:
    iptables(good, "INPUT", "-P INPUT DROP", "-A INPUT -i lo -j ACCEPT")
    found = check("firewall")
    assert (found.ok, found.detail) == (False, "dropped by iptables INPUT")
    host.fix([*checks(small())], reporter)
    assert "-I INPUT -i lc-+ -j ACCEPT" in good.programs.calls("iptables")


@pytest.mark.parametrize(
    "rules",
    [
        ("-P INPUT ACCEPT",),
        ("-P INPUT DROP", "-A INPUT -j LIBVIRT_INP"),
        ("-P INPUT DROP", "-A INPUT -i lc-+ -j ACCEPT"),
    ],
)
def test_a_firewall_that_lets_labs_pass(good: Host, rules: tuple[str, ...]) -> None:
    iptables(good, "INPUT", *rules)
    assert check("firewall").ok


def test_nftables_that_drop_what_they_do_not_know(good: Host) -> None:
    nft(good, chain("input"), chain("forward", policy="accept"), chain("input", table="firewalld"))
    found = check("firewall")
    assert (found.ok, found.detail) == (False, "dropped by inet site input")
    assert "nft insert rule inet site input iifname 'lc-*' accept" in found.fix
    assert check("forward").ok
    rule = {"family": "inet", "table": "site", "chain": "input", "expr": [{"match": {"right": "lc-*"}}]}
    nft(good, chain("input"), {"rule": rule})
    assert check("firewall").ok


def test_dockers_forward_policy(good: Host) -> None:
    iptables(good, "FORWARD", "-P FORWARD DROP", "-A FORWARD -j DOCKER-USER")
    found = check("forward")
    assert (found.ok, found.detail) == (False, "Docker's FORWARD policy: dropped by iptables DOCKER-USER")
    assert "iptables -I DOCKER-USER -i lc-+ -j ACCEPT; iptables -I DOCKER-USER -o lc-+ -j ACCEPT" in found.fix
    iptables(good, "FORWARD", "-P FORWARD DROP", "-A FORWARD -j LIBVIRT_FWX", "-A FORWARD -j DOCKER-USER")
    assert check("forward").ok


def test_who_may_not_look_at_firewalls_is_told_who_may(good: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    assert good.files
    monkeypatch.setattr(network.os, "geteuid", lambda: 1000)
    assert [(one.ok, one.detail) for one in (network.firewall(), network.forwarding())] == [
        (None, "only root can look: sudo labctl doctor")
    ] * 2


def test_a_subnet_that_the_host_reaches_by_another_way(good: Host) -> None:
    assert check("subnet").ok
    good.programs.add("ip", """echo '[{"dst": "10.20.0.0/16"}]'""")
    assert check("subnet", "network=10.30.30.0/24").ok
    found = check("subnet", "network=10.20.30.0/24")
    assert found.ok is False
    assert "10.20.30.0/24 is in use on this host" in found.detail
    assert "--set network=" in found.fix


def test_the_subnet_of_the_lab_itself_is_no_clash(good: Host, hypervisor: Hypervisor) -> None:
    assert good.files
    hypervisor.connect(lay_out(small(), hypervisor.lease("small", None)))
    assert "is the lab's own" in check("subnet").detail


# Leftovers


def test_a_host_without_leftovers(good: Host, hypervisor: Hypervisor, tmp_path: Path) -> None:
    assert good.files
    machine(hypervisor, "small", "head")
    hypervisor.describe("small", "head", tmp_path)
    volume(hypervisor, "labctl_small_head.img")
    assert check("leftovers") == Check("leftovers", True, "none")


def test_what_dead_labs_have_left(good: Host, hypervisor: Hypervisor, tmp_path: Path) -> None:
    assert good.files
    machine(hypervisor, "dead", "head")
    hypervisor.describe("dead", "head", tmp_path / "gone")
    volume(hypervisor, "labctl_old_cpu-0.img")
    hypervisor.connect(lay_out(small(), hypervisor.lease("small", None)))
    name = hypervisor.lease("small", None).name
    found = check("leftovers")
    assert found.ok is None
    assert found.detail == f"dead, whose folder is gone, the disk labctl_old_cpu-0.img, the network {name}"
    assert found.fix.startswith("labctl destroy dead; virsh vol-delete --pool labctl labctl_old_cpu-0.img; ")
    assert found.commands == ()  # there may be work on its disks
