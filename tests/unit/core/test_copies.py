"""Copies of saved machines: each goes on from where that one stood still, and is told who it is."""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key
from layouts import lay_out, network
from saved_labs import a_snapshot
from savers import FakeSaver, save_file
from small_lab import small

from labctl import packing, snapshots
from labctl.console import Step
from labctl.errors import BootError, SnapshotError
from labctl.providers.base import Answer, MachineXml
from labctl.render.layout import Layout, Machine
from labctl.render.vagrantfile import command_line
from labctl.snapshots import SavedNode, Snapshot
from labctl.steps import copies

NODES = ("cpu-0", "cpu-1", "head")
MEMORY = {"small": b"of 1024 MiB" * 999, "tiny": b"of 768 MiB" * 999}


@pytest.fixture
def saver() -> FakeSaver:
    return FakeSaver({})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    directory = tmp_path / ".labctl" / "small"
    directory.mkdir(parents=True)
    return lay_out(small(), network("10.20.30.0/24", "lc-small"), directory=directory)


def a_seed(kind: str, content: bytes = b"") -> Snapshot:
    """A saved machine that is nobody."""
    content = content or save_file("running x/seed", MEMORY[kind])
    saved = a_snapshot(f"seed{kind}", lab="", nodes={"seed": content})
    xml = {"defined": "defined x/seed", "running": "running x/seed", "capacity": 16 << 30}
    nodes = {"seed": SavedNode(**{**saved.nodes["seed"].model_dump(), **xml})}
    return saved.model_copy(update={"nodes": nodes})


@pytest.fixture
def seeds() -> dict[str, Snapshot]:
    big, tiny = a_seed("small"), a_seed("tiny")
    return {"head": tiny, "cpu-0": big, "cpu-1": big}


def machine(layout: Layout, node: str) -> Machine:
    return next(one for one in layout.machines if one.node.name == node)


def known_hosts(layout: Layout) -> dict[str, str]:
    """The key of each address."""
    path = layout.directory / "known_hosts"
    lines = path.read_text().splitlines() if path.is_file() else []
    return dict(line.split(" ", 1) for line in lines)


def public(private: str) -> str:
    key = load_ssh_private_key(private.encode(), None).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def told(saver: FakeSaver) -> dict[str, tuple[str, str]]:
    """The script and the private key that each node was told; one script each."""
    assert len(saver.told) == len(saver.did("tell"))
    return {node: (script, stdin) for node, script, stdin in saver.told}


# Copied


def test_each_node_goes_on_from_the_machine_of_its_shape(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot]
) -> None:
    copies.make(saver, layout, seeds, view)
    assert saver.states == {("small", node): "running" for node in NODES}
    for node, seed in seeds.items():
        assert saver.below["small", node] == seed.volume("seed")
        kind = "tiny" if node == "head" else "small"
        assert saver.memory["small", node] == MEMORY[kind]
    assert {line.text for line in view.nodes.values()} == {"knows who it is"}


def test_each_is_a_machine_of_its_own(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot]
) -> None:
    copies.make(saver, layout, seeds, view)
    identities = {node: saver.places[node].identity for node in NODES}
    for node, identity in identities.items():
        assert identity is not None
        assert (identity.name, identity.mac) == (f"labctl_small_{node}", machine(layout, node).mac)
        assert identity.command_line == command_line(layout, node)
        assert f"systemd.hostname={node} " in identity.command_line
        assert str(uuid.UUID(identity.uuid)) == identity.uuid
        assert saver.places[node].network == "lc-small"
        assert saver.places[node].directory == layout.directory
    assert len({identity.uuid for identity in identities.values() if identity}) == 3
    assert saver.adopted == {(layout.directory, node): identity for node, identity in identities.items()}


def test_each_is_told_who_it_is_and_nobody_else(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot]
) -> None:
    copies.make(saver, layout, seeds, view)
    scripts = {node: script for node, (script, _) in told(saver).items()}
    assert set(scripts) == set(NODES)
    for node, script in scripts.items():
        assert f"echo {node} > /proc/sys/kernel/hostname\n" in script
        assert f"address {machine(layout, node).mac} up" in script
        assert "echo 'ssh-ed25519 AAAA' > /root/.ssh/authorized_keys\n" in script
        (now,) = re.findall(r"--set=@([\d.]+)", script)
        assert abs(float(now) - time.time()) < 60
    for pattern, length in ((r"echo ([0-9a-f]+) > /etc/machine-id", 32), (r'"H\*", "([0-9a-f]+)"', 128)):
        found = {value for script in scripts.values() for value in re.findall(pattern, script)}
        assert len(found) == 3
        assert {len(value) for value in found} == {length}


def test_each_has_a_host_key_of_its_own_that_is_known_before_it_has_it(
    saver: FakeSaver,
    layout: Layout,
    view: Step,
    seeds: dict[str, Snapshot],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (layout.directory / "known_hosts").write_text("10.9.9.9 ssh-ed25519 OTHER\n")
    known_by_then: dict[str, dict[str, str]] = {}
    real = saver.bring_back

    def bring_back(xml: MachineXml, memory: Path) -> None:
        known_by_then[xml.defined.rpartition("/")[2]] = known_hosts(layout)
        real(xml, memory)

    monkeypatch.setattr(saver, "bring_back", bring_back)
    copies.make(saver, layout, seeds, view)
    known = known_hosts(layout)
    assert known.pop("10.9.9.9") == "ssh-ed25519 OTHER"
    assert len(set(known.values())) == 3
    for node, (script, private) in told(saver).items():
        address = str(machine(layout, node).address)
        assert known[address] == known_by_then[node][address] == public(private)
        assert f"echo '{public(private)} {node}' > /etc/ssh/ssh_host_ed25519_key.pub\n" in script
        assert "PRIVATE" not in script  # a list of processes shows it


def test_what_it_is_told_is_a_script(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot]
) -> None:
    copies.make(saver, layout, seeds, view)
    script = told(saver)["cpu-0"][0]
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
    perl = script.partition("perl -e '")[2].partition("'")[0]
    assert subprocess.run(["perl", "-c", "-e", perl], capture_output=True, check=False).returncode == 0


def test_only_those_that_have_no_machine_are_made(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot]
) -> None:
    copies.make(saver, layout, {"cpu-1": seeds["cpu-1"]}, view)
    assert saver.states == {("small", "cpu-1"): "running"}
    assert set(known_hosts(layout)) == {str(machine(layout, "cpu-1").address)}


def test_no_pipe_is_left(
    saver: FakeSaver,
    layout: Layout,
    view: Step,
    seeds: dict[str, Snapshot],
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "pipes").mkdir(mode=0o700)
    monkeypatch.setattr("labctl.scratch.place", lambda: tmp_path / "pipes")
    copies.make(saver, layout, seeds, view)
    assert list((tmp_path / "pipes").iterdir()) == []


# What goes wrong


def test_one_that_refuses_its_identity_is_named_with_why(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot]
) -> None:
    saver.answers["cpu-1"] = Answer(2, "", "date: Operation not permitted\n")
    with pytest.raises(SnapshotError, match="the copy for cpu-1 does not become who it is") as failed:
        copies.make(saver, layout, seeds, view)
    assert failed.value.why == "date: Operation not permitted"


def test_one_that_answers_late_is_asked_again(
    saver: FakeSaver,
    layout: Layout,
    view: Step,
    seeds: dict[str, Snapshot],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "_POLL", 0.01)
    asked: list[str] = []
    real = saver.tell

    def tell(lab: str, node: str, script: str, **words: Any) -> Answer:
        asked.append(node)
        if asked.count(node) < 3:
            raise BootError("not now")
        return real(lab, node, script, **words)

    monkeypatch.setattr(saver, "tell", tell)
    copies.make(saver, layout, seeds, view)
    assert sorted(asked) == sorted(NODES * 3)


def test_one_that_never_answers_is_named(
    saver: FakeSaver,
    layout: Layout,
    view: Step,
    seeds: dict[str, Snapshot],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "_DEADLINE", 0.1)
    monkeypatch.setattr(copies, "_POLL", 0.01)
    saver.mute = {"head"}
    with pytest.raises(SnapshotError, match="the copy for head does not answer") as failed:
        copies.make(saver, layout, seeds, view)
    assert "the guest agent of head" in failed.value.why


@pytest.mark.parametrize("error", [SnapshotError("QEMU said no"), KeyboardInterrupt()])
def test_one_that_is_not_brought_back_is_told_nothing(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot], *, error: BaseException
) -> None:
    saver.failures["brought cpu-0"] = error
    with pytest.raises(type(error)):
        copies.make(saver, layout, seeds, view)
    assert "cpu-0" not in saver.did("resume") + saver.did("tell") + saver.did("adopt")


def test_memory_that_libvirt_did_not_write_is_no_machines(
    saver: FakeSaver, layout: Layout, view: Step
) -> None:
    with pytest.raises(SnapshotError, match="not in the form that is known here"):
        copies.make(saver, layout, {"head": a_seed("tiny", os.urandom(3 << 20))}, view)
    assert saver.did("resume") == []


def test_a_saved_machine_that_goes_away_meanwhile_is_said(
    saver: FakeSaver, layout: Layout, view: Step, seeds: dict[str, Snapshot]
) -> None:
    """Another process may have thrown it away."""
    for seed in seeds.values():
        saver.pool[seed.volume("seed")] = b""
        snapshots.remove(seed)
    with pytest.raises(SnapshotError, match=r"seed\.memory\.zst is damaged"):
        copies.make(saver, layout, seeds, view)
    with pytest.raises(SnapshotError), packing.unpacking(seeds["head"].path / "seed.disk.zst"):
        pass
