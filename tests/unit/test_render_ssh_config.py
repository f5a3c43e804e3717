"""ssh reads the lab's configuration as it is meant."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from render_layouts import PUBLIC, a_layout

from labctl.render.layout import Layout
from labctl.render.ssh_config import root_command, ssh_config

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="ssh is not installed")


def understood(layout: Layout, host: str, folder: Path) -> dict[str, str]:
    """What ssh itself makes of the file for one host."""
    path = folder / "ssh_config"
    path.write_text(ssh_config(layout), encoding="utf-8")
    result = subprocess.run(
        ["ssh", "-G", "-F", path, host], capture_output=True, text=True, check=True, timeout=60
    )
    return dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)


def test_every_node_is_reached_at_its_address_with_the_labs_key(tmp_path: Path) -> None:
    layout = a_layout()
    for machine in layout.machines:
        said = understood(layout, machine.node.name, tmp_path)
        assert said["hostname"] == str(machine.address)
        assert said["user"] == "root"
        assert said["identityfile"] == "/srv/labs/.labctl/full/id_ed25519"
        assert said["identitiesonly"] == "yes"
        assert said["userknownhostsfile"] == "/srv/labs/.labctl/full/known_hosts"
        assert said["stricthostkeychecking"] == "accept-new"


def test_one_connection_serves_all_and_its_socket_has_room(tmp_path: Path) -> None:
    said = understood(a_layout(), "cpu-0", tmp_path)
    assert said["controlmaster"] == "auto"
    assert said["controlpersist"] == "600"
    folder, name = said["controlpath"].rsplit("/", 1)
    assert folder == f"/tmp/labctl-{os.getuid()}"  # noqa: S108 - it is made with mode 0700
    assert len(folder) + 1 + len(name.replace("%C", "x" * 40)) + 17 < 104


def test_two_labs_share_no_connection_though_they_share_addresses(tmp_path: Path) -> None:
    """In two network namespaces, or one after the other while ssh still holds on to the first."""
    one, other = a_layout(), a_layout(public_key="ssh-ed25519 AAAA another lab")
    assert one.machines[0].address == other.machines[0].address
    paths = {understood(layout, "cpu-0", tmp_path)["controlpath"] for layout in (one, other)}
    assert len(paths) == 2


def test_nothing_waits_for_ever(tmp_path: Path) -> None:
    said = understood(a_layout(), "cpu-0", tmp_path)
    assert (said["connecttimeout"], said["serveraliveinterval"], said["serveralivecountmax"]) == (
        "10",
        "15",
        "4",
    )


def test_a_public_box_is_entered_as_its_own_user(tmp_path: Path) -> None:
    assert understood(a_layout(box=PUBLIC), "cpu-0", tmp_path)["user"] == "vagrant"


def test_other_hosts_are_left_alone(tmp_path: Path) -> None:
    said = understood(a_layout(), "example.org", tmp_path)
    assert said["hostname"] == "example.org"
    assert ".labctl" not in said["identityfile"]


def test_odd_paths(tmp_path: Path) -> None:
    folder = Path('/srv/a lab\'s "own" 100%h/.labctl/full')
    said = understood(a_layout(directory=folder), "cpu-0", tmp_path)
    assert said["identityfile"].replace("%%", "%") == f"{folder}/id_ed25519"
    assert said["userknownhostsfile"].replace("%%", "%").strip('"') == f"{folder}/known_hosts"


@pytest.mark.parametrize(("number", "sudo"), [("0", ""), ("1000", "sudo -n ")], ids=["root", "vagrant"])
def test_a_script_for_root_gets_there_whoever_logs_in(tmp_path: Path, number: str, sudo: str) -> None:
    for name, script in {"id": f"echo {number}", "sudo": 'printf "sudo %s " "$1"; shift; exec "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    *argv, line = root_command(Path("/lab/ssh_config"), "cpu-0", 'echo "$1" "it\'s"', "a  b")
    assert argv == ["ssh", "-F", "/lab/ssh_config", "-o", "BatchMode=yes", "-T", "cpu-0", "--"]
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "be": "nobody"}
    done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == f"{sudo}a  b it's\n"
