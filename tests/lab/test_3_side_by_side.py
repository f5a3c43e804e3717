"""A second lab beside `full`: failure half way, its files lost, an interrupt; and `full` feels nothing of it.

It is destroyed, and its snapshot stays for the next files.
"""

from __future__ import annotations

import os
import shutil
import signal
import tarfile
import time

from conftest import User, World


def test_a_converge_that_fails_half_way_is_gone_on_with(full: User) -> None:
    broken = "vars.slurm_common_config.SelectType=select/none_such"
    said = full("up", "gpu", "--name", "side", "--set", broken, "--ci", "--logs", "failed")
    assert said.code == 6, said.all
    with tarfile.open(full.home / "failed/labctl-side.tar.gz") as archive:
        config = archive.extractfile("labctl-side/nodes/gpu-0/etc/slurm/slurm.conf")
        assert config is not None
        assert b"none_such" in config.read()
    assert "side" in full.ok("list").out
    for words in ("slurmctld", "converge.log", "try:"):
        assert words in said.err
    machine = World.now().domains
    assert "verified:" in full.ok("up", "gpu", "--name", "side").out
    assert World.now().domains == machine


def test_two_labs_run_side_by_side(full: User) -> None:
    labs = {lab["name"]: lab for lab in full.ok("list", "--json").json()}
    assert labs["full"]["network"] != labs["side"]["network"]
    for name in ("full", "side"):
        full.ok("verify", "--quick", "--name", name)


def test_destroy_works_when_the_files_of_the_lab_are_gone(full: User) -> None:
    shutil.rmtree(full.home / ".labctl/side")
    assert "side" in full.ok("list").out
    full.ok("destroy", "side")
    left = World.now()
    for kind in (left.domains, left.networks, left.volumes, left.leases):
        assert not [name for name in kind if "side" in name]
    assert full.ok("status", "--name", "full", "--json").json()["problems"] == []


def test_an_interrupt_while_machines_boot_leaves_what_destroy_removes(full: User) -> None:
    before = World.now()
    busy = full.start("up", "multi-node", "--name", "cut")
    domains: frozenset[str] = frozenset()
    end = time.monotonic() + 120
    while time.monotonic() < end and not domains:
        domains = frozenset(name for name in World.now().domains if name.startswith("labctl_cut_"))
        time.sleep(0.2)
    assert domains, "no machine was made within 120 s"
    second = full("up", "multi-node", "--name", "cut")
    assert second.code == 8
    assert f"labctl up (process {busy.pid}) is working on the lab cut" in second.err
    os.kill(busy.pid, signal.SIGINT)
    said, _ = busy.communicate(timeout=60)
    assert busy.returncode == 130, said
    assert "labctl destroy cut" in said
    full.ok("destroy", "cut")
    assert World.now().differs(before) == {}


def test_destroy_leaves_the_host_as_it_was(full: User, world_before: World) -> None:
    full.ok("destroy", "full")
    after = World.now()
    assert after.differs(world_before) == {}
    assert after.processes <= world_before.processes
    assert not (full.home / ".labctl").exists()
