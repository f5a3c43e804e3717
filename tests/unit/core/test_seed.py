"""Machines to copy: one of each shape is made, saved as nobody and kept, and nothing else of it is left."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from layouts import lay_out, network
from savers import FakeSaver
from small_lab import small
from worlds import FakeProvider

from labctl import saved_machines, snapshots
from labctl.console import Step
from labctl.errors import BootError, SnapshotError
from labctl.providers.base import Answer
from labctl.render.layout import Layout
from labctl.snapshots import Snapshot
from labctl.steps import awaiting, seed
from labctl.steps.seed import Seedbed

NODES = ("head", "cpu-0", "cpu-1")
MACHINES = ("_seed-1-768", "_seed-1-1024")  # that these are copies of
HOST = {"driver": "qemu", "qemu": "7"}


class Nursery(FakeProvider):
    """Machines that boot until they are ready; whoever makes them would wait for them."""

    waits = False
    error: BaseException | None = None

    def make(
        self, layout: Layout, nodes: Sequence[str], view: Any, log: Path, answered: threading.Event
    ) -> None:
        super().make(layout, nodes, view, log, answered)
        assert not self.waits or answered.wait(10)
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_machines, "_SLIM", 0.0)
    monkeypatch.setattr(seed, "_POLL", 0.01)


@pytest.fixture
def provider() -> Nursery:
    made = Nursery(name="libvirt", kernel="/vmlinuz")
    made.saver = FakeSaver(made.machines)
    return made


@pytest.fixture
def saver(provider: Nursery) -> FakeSaver:
    assert isinstance(provider.saver, FakeSaver)
    return provider.saver


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return a_lab(tmp_path)


def a_lab(tmp_path: Path, name: str = "small", *overrides: str) -> Layout:
    directory = tmp_path / ".labctl" / name
    (directory / "logs").mkdir(parents=True)
    definition = small(f"name={name}", *overrides)
    return lay_out(definition, network("10.20.30.0/24", f"lc-{name}"), directory=directory)


@pytest.fixture
def bed(provider: Nursery, saver: FakeSaver, layout: Layout, view: Step, tmp_path: Path) -> Seedbed:
    return Seedbed(provider, saver, layout, HOST, view, tmp_path / "boot.log")


def files(layout: Layout) -> list[str]:
    return sorted(path.name for path in layout.directory.iterdir())


def kept() -> tuple[Snapshot, ...]:
    return snapshots.everything()


# Made once


def test_one_of_each_shape_is_booted_saved_and_gone(
    bed: Seedbed, provider: Nursery, saver: FakeSaver, layout: Layout
) -> None:
    seeds = bed.seeds(NODES)
    assert provider.calls[0] == f"make {' '.join(MACHINES)}"
    assert provider.machines == {}
    assert provider.directories == {"small": str(layout.directory)}  # that is where whoever finds them looks
    assert files(layout) == ["logs"]
    assert set(seeds) == set(NODES)
    assert seeds["cpu-0"] == seeds["cpu-1"] != seeds["head"]
    assert {one.id for one in kept()} == {one.id for one in seeds.values()}
    for one in kept():
        snapshots.check(one)
        assert (one.lab, one.label, one.secrets, one.host) == ("", "", "", HOST)
        assert (one.box.name, one.box.vagrant_name) == ("debian-12", "labctl-debian-12-abc")
        assert list(one.nodes) == ["seed"]
        assert one.volume("seed") in saver.staged()


def test_each_has_forgotten_who_it_is_before_it_is_saved(bed: Seedbed, saver: FakeSaver) -> None:
    bed.seeds(NODES)
    for machine in MACHINES:
        verbs = [call.partition(" ")[0] for call in saver.calls if call.endswith(f" {machine}")]
        assert verbs == ["tell", "slim", "alone", "pause", "memory", "disk", "resume"]
    for _, script, _ in saver.told:
        for word in ("/etc/ssh/ssh_host_", "/root/.ssh/authorized_keys", "random-seed", " down;"):
            assert word in script
        assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0


def test_only_what_the_nodes_need_is_made(bed: Seedbed, provider: Nursery) -> None:
    assert set(bed.seeds(["cpu-1"])) == {"cpu-1"}
    assert provider.calls[0] == f"make {MACHINES[1]}"


def test_nobodys_key_opens_it(
    bed: Seedbed, provider: Nursery, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    real = provider.make

    def make(own: Layout, *words: Any) -> None:
        texts.append((own.directory / own.vagrantfile).read_text())
        real(own, *words)

    monkeypatch.setattr(provider, "make", make)
    replace(bed, layout=replace(layout, public_key="ssh-ed25519 OF-THE-LAB lab")).seeds(NODES)
    (text,) = texts
    assert "ssh.authorized_keys.root:ssh-ed25519 " in text
    assert "OF-THE-LAB" not in text


def test_it_is_kept_for_every_lab_that_comes(
    bed: Seedbed, provider: Nursery, saver: FakeSaver, tmp_path: Path
) -> None:
    first = bed.seeds(NODES)
    provider.calls.clear()
    saver.calls.clear()
    other = replace(bed, layout=a_lab(tmp_path, "other", "vars.common_timezone=UTC"))
    assert other.seeds(NODES) == first
    assert provider.calls == []
    assert saver.calls == []


def another_size(bed: Seedbed, tmp_path: Path) -> Seedbed:
    sizes = ("nodes.head.memory=769", "nodes.cpu-[0-1].cpus=2")
    return replace(bed, layout=a_lab(tmp_path, "other", *sizes))


def another_box(bed: Seedbed, tmp_path: Path) -> Seedbed:
    del tmp_path
    box = replace(bed.layout.box, name="labctl-debian-12-def")
    return replace(bed, layout=replace(bed.layout, box=box))


def another_host(bed: Seedbed, tmp_path: Path) -> Seedbed:
    del tmp_path
    return replace(bed, host=HOST | {"qemu": "8"})


@pytest.mark.parametrize("another", [another_size, another_box, another_host])
def test_it_is_nobody_elses(
    bed: Seedbed, provider: Nursery, tmp_path: Path, another: Callable[[Seedbed, Path], Seedbed]
) -> None:
    first = bed.seeds(NODES)
    provider.calls.clear()
    other = another(bed, tmp_path).seeds(NODES)
    assert provider.calls[0].startswith("make _seed-")
    assert not {one.id for one in other.values()} & {one.id for one in first.values()}
    assert bed.seeds(NODES) == first


@pytest.mark.parametrize("change", [("_FORGET", "true"), ("command_line", lambda *_: "quiet")])
def test_one_that_boots_or_forgets_otherwise_is_another(
    bed: Seedbed, provider: Nursery, monkeypatch: pytest.MonkeyPatch, change: tuple[str, Any]
) -> None:
    first = bed.seeds(["head"])
    monkeypatch.setattr(seed, *change)
    assert bed.seeds(["head"]) != first
    assert provider.calls.count(f"make {MACHINES[0]}") == 2


def test_a_damaged_one_goes_and_is_made_anew(bed: Seedbed, provider: Nursery, saver: FakeSaver) -> None:
    first = bed.seeds(NODES)
    memory = first["head"].path / first["head"].nodes["seed"].memory.file
    memory.write_bytes(memory.read_bytes()[:-1])
    provider.calls.clear()
    second = bed.seeds(NODES)
    assert provider.calls[0] == f"make {MACHINES[0]}"
    assert second["cpu-0"] == first["cpu-0"]
    assert {one.id for one in kept()} == {second["head"].id, second["cpu-0"].id}
    assert set(saver.pool) == {one.volume("seed") for one in kept()}


def test_one_that_is_taken_is_in_use(bed: Seedbed) -> None:
    taken = bed.seeds(["head"])["head"]
    (taken.path / "used").touch()
    os.utime(taken.path / "used", (1000.0, 1000.0))
    bed.seeds(["head"])
    assert taken.used > 1000.0


def test_of_two_labs_that_begin_at_once_one_makes_it(bed: Seedbed, provider: Nursery, tmp_path: Path) -> None:
    other = replace(bed, layout=a_lab(tmp_path, "other"))
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda one: one.seeds(NODES), (bed, other))
    assert first == second
    assert [call for call in provider.calls if call.startswith("make")] == [f"make {' '.join(MACHINES)}"]


# Booting


def test_who_makes_them_is_let_go_once_all_have_booted(bed: Seedbed, provider: Nursery) -> None:
    provider.waits = True
    assert set(bed.seeds(NODES)) == set(NODES)


def test_an_agent_that_is_not_there_yet_is_asked_again(
    bed: Seedbed, provider: Nursery, saver: FakeSaver
) -> None:
    provider.waits = True
    saver.mute = set(MACHINES)
    timer = threading.Timer(0.2, saver.mute.clear)
    timer.start()
    assert set(bed.seeds(NODES)) == set(NODES)
    assert saver.did("tell") == sorted(MACHINES)


def test_one_that_does_not_boot_is_told_with_its_last_words(
    bed: Seedbed, provider: Nursery, saver: FakeSaver, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(awaiting.DEADLINES, "qemu", 0.2)
    provider.waits = True
    saver.mute = {MACHINES[1]}
    console = layout.directory / "logs" / f"console-{MACHINES[1]}.log"
    console.write_text("Kernel panic: no root\n")
    with pytest.raises(BootError, match="a machine to copy did not boot within 0 s") as failed:
        bed.seeds(NODES)
    assert f"the guest agent of {MACHINES[1]} does not answer" in failed.value.why
    assert "Kernel panic: no root" in failed.value.why
    assert failed.value.hint == f"its console: {console}; then labctl up --name small again"
    assert provider.machines == {}


def test_one_that_does_not_forget_is_not_kept(bed: Seedbed, provider: Nursery, saver: FakeSaver) -> None:
    saver.answers[MACHINES[0]] = Answer(1, "", "rm: Read-only file system\n")
    with pytest.raises(SnapshotError, match="does not forget who it is") as failed:
        bed.seeds(["head"])
    assert failed.value.why == "rm: Read-only file system"
    assert kept() == ()
    assert provider.machines == {}


# Whatever goes wrong


def nothing_is_left(provider: Nursery, layout: Layout) -> None:
    assert provider.machines == {}
    assert files(layout) == ["logs"]
    assert not snapshots.store().exists() or not list(snapshots.store().glob("new-*"))


@pytest.mark.parametrize("error", [SnapshotError("no"), KeyboardInterrupt()], ids=["fails", "interrupted"])
@pytest.mark.parametrize("verb", ["tell", "alone", "slim", "pause", "memory", "disk", "resume"])
def test_of_one_that_could_not_be_saved_nothing_is_left(
    bed: Seedbed, provider: Nursery, saver: FakeSaver, *, verb: str, error: BaseException
) -> None:
    saver.failures[f"{verb} {MACHINES[0]}"] = error
    with pytest.raises(type(error)):
        bed.seeds(NODES)
    nothing_is_left(provider, bed.layout)
    assert saver.pool == {}
    assert set(bed.seeds(NODES)) == set(NODES)  # and the next time all goes well


@pytest.mark.parametrize("error", [BootError("no"), KeyboardInterrupt()], ids=["fails", "interrupted"])
def test_of_one_that_could_not_be_made_nothing_is_left(
    bed: Seedbed, provider: Nursery, *, error: BaseException
) -> None:
    provider.error = error
    with pytest.raises(type(error)):
        bed.seeds(NODES)
    nothing_is_left(provider, bed.layout)
    assert kept() == ()


def test_an_interrupt_waits_for_no_machine_that_is_still_booting(
    bed: Seedbed, provider: Nursery, saver: FakeSaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told to the guest agent ends with the boot, or with the machine."""
    told = threading.Barrier(len(MACHINES) + 1)

    def tell(lab: str, node: str, script: str, *, stdin: str = "", deadline: float) -> Answer:
        del script, stdin
        if (lab, node) not in provider.machines:
            raise BootError("no machine yet")
        told.wait(10)
        end = time.monotonic() + deadline
        while time.monotonic() < end and (lab, node) in provider.machines:
            time.sleep(0.01)
        raise BootError(f"the guest agent of {node} does not answer")

    def make(own: Layout, nodes: Sequence[str], *words: Any) -> None:
        real(own, nodes, *words)
        told.wait(10)
        raise KeyboardInterrupt

    real = provider.make
    monkeypatch.setitem(awaiting.DEADLINES, "qemu", 20.0)
    monkeypatch.setattr(saver, "tell", tell)
    monkeypatch.setattr(provider, "make", make)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        bed.seeds(NODES)
    assert time.monotonic() - started < 10
    nothing_is_left(provider, bed.layout)


def test_a_disk_that_is_no_longer_in_the_pool_is_put_there_again(bed: Seedbed, saver: FakeSaver) -> None:
    seeds = bed.seeds(["head"])
    volume = seeds["head"].volume("seed")
    saver.pool.clear()
    saver.failures[f"stage {volume}"] = SnapshotError("no space left")
    with pytest.raises(SnapshotError, match="no space left"):
        bed.seeds(["head"])
    saver.pool.clear()
    assert bed.seeds(["head"]) == seeds
    assert volume in saver.staged()
