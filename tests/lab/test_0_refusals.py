"""Bad input and bad hosts: refused with the reason and a way out, and nothing is touched."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import platformdirs
import pytest
from conftest import LABCTL, User, World

DEFINITION = """\
name: bad
users: [{name: ann, uid: 10000}]
nodes:
  - {name: head, roles: [ldap_server, nfs_server, slurmctld]}
  - {name: "node-[0-1]", roles: [slurmd], partitions: [work]}
partitions: [{name: work, default: true}]
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("name: work,", "name: work, colour: blue,"), "colour"),
        (("partitions: [{", "partitions: [{name: other, default: true}, {"), "default"),
        (("uid: 10000}", "uid: 10000}, {name: bob, uid: 10000}"), "10000"),
        (("node-[0-1]", "node-[0-1"), "node-[0-1"),
        (("name: head", "name: he_ad"), "he_ad"),
    ],
    ids=["an unknown key", "two defaults", "a uid twice", "a broken hostlist", "a name that is no hostname"],
)
def test_a_wrong_definition_is_refused(user: User, change: tuple[str, str], words: str) -> None:
    before = World.now()
    path = user.home / "bad.yml"
    path.write_text(DEFINITION.replace(*change))
    said = user("up", "bad.yml")
    assert said.code == 2
    assert words in said.err
    assert "bad.yml:" in said.err
    assert World.now() == before
    assert not (user.home / ".labctl").exists()


def test_an_unknown_preset_gets_the_nearest_one(user: User) -> None:
    said = user("up", "ful")
    assert said.code == 2
    assert "full" in said.err


def test_more_memory_than_the_host_has_is_refused(user: User) -> None:
    said = user("up", "full", "--set", "nodes.gpu-0.memory=999999")
    assert said.code == 3
    assert "memory" in said.err
    assert not (user.home / ".labctl").exists()


def test_create_writes_files_that_vagrant_and_ansible_read_and_destroy_takes_them_away(user: User) -> None:
    before = World.now()
    user.ok("create", "multi-node", "--name", "made")
    assert World.now().domains == before.domains
    lab = user.home / ".labctl/made"
    subprocess.run(["vagrant", "validate"], cwd=lab, check=True, capture_output=True)
    ansible = [str(Path(LABCTL).with_name("ansible-inventory")), "-i", str(lab / "inventory"), "--graph"]
    assert "slurmctld-0" in subprocess.run(ansible, check=True, capture_output=True, text=True).stdout
    assert [one["state"] for one in user.ok("list", "--json").json() if one["name"] == "made"] == ["missing"]
    never = user("ssh", "--name", "made", "slurmctld-0", "--", "true")
    assert never.code == 1
    assert "labctl up --name made" in never.err
    user.ok("destroy", "made")
    assert World.now().differs(before) == {}
    assert not (user.home / ".labctl").exists()


def test_without_libvirt_the_way_out_is_named(user: User) -> None:
    said = user("up", "cpu", env={"LABCTL_LIBVIRT_URI": "qemu+unix:///system?socket=/none"})
    assert said.code == 3
    assert "labctl doctor --fix" in said.err


def test_without_qemu_the_missing_program_is_named(user: User, tmp_path: Path) -> None:
    for program in ("ssh", "ip", "vagrant"):
        found = shutil.which(program)
        assert found
        (tmp_path / program).symlink_to(found)
    said = user("up", "cpu", env={"PATH": str(tmp_path)})
    assert said.code == 3
    assert "qemu-system-x86_64" in said.err


def test_a_full_disk_is_refused(user: User) -> None:
    small = "mount -t tmpfs -o size=64m tmpfs /var/lib/libvirt/images"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{small} && exec {LABCTL} up cpu"],
        cwd=user.home, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "disk" in done.stderr
    assert "/var/lib/libvirt/images" in done.stderr


def test_doctor_says_that_libvirt_is_down_and_starts_it(user: User) -> None:
    mend = f"{LABCTL} doctor cpu --fix && virsh -c qemu:///system list"
    script = f"mount -t tmpfs tmpfs /run && {LABCTL} doctor cpu; {mend}"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script],
        cwd=user.home, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    before, after = done.stdout.split("CHECK")[1:]
    assert "failed" in next(line for line in before.splitlines() if line.startswith("libvirt"))
    assert "ok" in next(line for line in after.splitlines() if line.startswith("libvirt")), done.stderr
    assert done.returncode == 0, done.stderr


def test_a_damaged_box_is_found_before_it_is_used(user: User, tmp_path: Path) -> None:
    before = World.now()
    shutil.copytree(platformdirs.user_cache_path("labctl") / "boxes", tmp_path / "labctl" / "boxes")
    for box in (tmp_path / "labctl" / "boxes").glob("debian-12-*/debian-12.box"):
        with box.open("r+b") as image:
            image.seek(50 * 1024**2)
            image.write(b"rotten")
        version = box.parent.name.removeprefix("debian-12-")
    # As on a host where it was not staged yet.
    said = user(
        "up", "cpu", "--name", "rotten", env={"XDG_CACHE_HOME": str(tmp_path), "LABCTL_POOL": "labctl-rotten"}
    )
    assert said.code == 4, said.all
    assert "damaged" in said.err
    assert "labctl box build debian-12 --force" in said.err
    assert version
    assert World.now().domains == before.domains
    assert not (user.home / ".labctl").exists()
