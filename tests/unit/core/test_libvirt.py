"""Machines and volumes, as labctl asks libvirt for them."""

from __future__ import annotations

import io
import os
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import libvirt
import pytest
from hypervisors import Stream, define, machine, volume

from labctl.errors import BootError, HostError
from labctl.providers import libvirt as module
from labctl.providers.libvirt import Hypervisor


def test_a_libvirt_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "URI", "test:///no/such/file")
    with pytest.raises(HostError, match="libvirt does not answer at test:///no/such/file") as failed:
        Hypervisor()
    assert failed.value.hint == "labctl doctor --fix"


def test_machines_are_found_without_any_file(hypervisor: Hypervisor) -> None:
    machine(hypervisor, "full", "cpu-0")
    machine(hypervisor, "my-lab", "a", start=False)
    machine(hypervisor, "my-lab", "b").suspend()
    for name in ("labctl_none", "other_full_cpu-0"):
        define(hypervisor, name)
    found = {(one.lab, one.node): one.state for one in hypervisor.found()}
    assert found == {
        ("full", "cpu-0"): "running",
        ("my-lab", "a"): "stopped",
        ("my-lab", "b"): "suspended",
    }


def test_a_machine_says_where_its_labs_files_are(hypervisor: Hypervisor) -> None:
    for node, start in (("running", True), ("stopped", False)):
        machine(hypervisor, "full", node, start=start)
        hypervisor.describe("full", node, Path("/home/me/my labs/.labctl/full"))
    machine(hypervisor, "full", "silent")
    machine(hypervisor, "full", "foreign").setMetadata(
        libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, "not ours", None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    )
    assert {one.node: one.directory for one in hypervisor.found()} == {
        "running": "/home/me/my labs/.labctl/full",
        "stopped": "/home/me/my labs/.labctl/full",
        "silent": "",
        "foreign": "",
    }


@pytest.mark.parametrize("before", ["running", "suspended", "stopped"])
def test_whatever_a_machine_does_start_makes_it_run(hypervisor: Hypervisor, before: str) -> None:
    domain = machine(hypervisor, "full", "a", start=before != "stopped")
    if before == "suspended":
        domain.suspend()
    hypervisor.start("full", "a")
    assert [one.state for one in hypervisor.found()] == ["running"]


def test_a_machine_that_is_not_there_is_named(hypervisor: Hypervisor) -> None:
    with pytest.raises(BootError, match="a of full has no machine"):
        hypervisor.start("full", "a")


def test_a_machine_that_shuts_down_is_not_switched_off(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt.virDomain, "destroy", lambda _: pytest.fail("switched off"))
    machine(hypervisor, "full", "a")
    hypervisor.stop("full", "a", force=False, deadline=5)
    assert [one.state for one in hypervisor.found()] == ["stopped"]
    hypervisor.stop("full", "a", force=False, deadline=5)


def test_a_machine_that_does_not_shut_down_is_switched_off_in_the_end(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt.virDomain, "shutdown", lambda _: 0)
    machine(hypervisor, "full", "a")
    started = time.monotonic()
    hypervisor.stop("full", "a", force=False, deadline=0.5)
    assert 0.5 <= time.monotonic() - started < 5
    assert [one.state for one in hypervisor.found()] == ["stopped"]


@pytest.mark.parametrize("before", ["running", "suspended"])
def test_force_does_not_ask(hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    monkeypatch.setattr(libvirt.virDomain, "shutdown", lambda _: pytest.fail("asked"))
    domain = machine(hypervisor, "full", "a")
    if before == "suspended":
        domain.suspend()
    hypervisor.stop("full", "a", force=True, deadline=60)
    assert [one.state for one in hypervisor.found()] == ["stopped"]


def test_a_lab_is_removed_with_all_its_volumes_and_no_others(hypervisor: Hypervisor) -> None:
    machine(hypervisor, "full", "cpu-0")
    machine(hypervisor, "full", "cpu-1", start=False)
    machine(hypervisor, "full-2", "cpu-0")
    for name in ("labctl_full_cpu-0.img", "labctl_full_half-made.img", "labctl_full-2_cpu-0.img", "box.img"):
        volume(hypervisor, name)
    hypervisor.remove_machines("full")
    assert [(one.lab, one.node) for one in hypervisor.found()] == [("full-2", "cpu-0")]
    assert set(hypervisor.volumes()) == {"labctl_full-2_cpu-0.img", "box.img"}


def test_one_machine_is_removed_and_none_whose_name_begins_alike(hypervisor: Hypervisor) -> None:
    for node in ("cpu-1", "cpu-10"):
        machine(hypervisor, "full", node)
        volume(hypervisor, f"labctl_full_{node}.img")
    hypervisor.remove_machines("full", "cpu-1")
    assert [one.node for one in hypervisor.found()] == ["cpu-10"]
    assert set(hypervisor.volumes()) == {"labctl_full_cpu-10.img"}


def test_a_pool_that_is_busy_with_another_lab_keeps_nobody_from_removing(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume(hypervisor, "labctl_full_a.img")

    def busy(_: Any) -> None:
        raise libvirt.libvirtError("pool 'labctl' has asynchronous jobs running")

    with monkeypatch.context() as patch:
        patch.setattr(libvirt.virStoragePool, "refresh", busy)
        hypervisor.remove_machines("full")
    assert hypervisor.volumes() == {}


def test_a_pool_that_is_busy_is_looked_through_when_it_is_not(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume(hypervisor, "box.img")
    refused = iter((True, True, False))
    look = libvirt.virStoragePool.refresh
    waited: list[float] = []

    def busy(pool: Any) -> None:
        if next(refused):
            raise libvirt.libvirtError("pool 'labctl' has asynchronous jobs running")
        look(pool)

    monkeypatch.setattr(libvirt.virStoragePool, "refresh", busy)
    monkeypatch.setattr("labctl.providers.libvirt.time.sleep", waited.append)
    assert set(hypervisor.volumes()) == {"box.img"}
    assert len(waited) == 2


def test_a_pool_that_stays_busy_is_said_so(hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_: Any) -> None:
        raise libvirt.libvirtError("pool 'labctl' has asynchronous jobs running")

    monkeypatch.setattr(libvirt.virStoragePool, "refresh", busy)
    monkeypatch.setattr("labctl.providers.libvirt._POOL_DEADLINE", 0.0)
    with pytest.raises(HostError, match="storage pool") as failed:
        hypervisor.volumes()
    assert "asynchronous jobs" in failed.value.why


def test_a_volume_that_vanishes_while_the_pool_is_looked_through_is_left_out(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume(hypervisor, "stays.img")
    volume(hypervisor, "goes.img")
    real = libvirt.virStorageVol.path

    def path(found: libvirt.virStorageVol) -> str:
        if found.name() == "goes.img":
            found.delete()
        return str(real(found))

    monkeypatch.setattr(libvirt.virStorageVol, "path", path)
    assert set(hypervisor.volumes()) == {"stays.img"}


def test_no_thread_waits_for_the_calls_of_another(hypervisor: Hypervisor) -> None:
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(lambda: hypervisor.connection).result()
    assert others is not hypervisor.connection
    assert hypervisor.connection is hypervisor.connection


def test_the_pool_is_made_once(hypervisor: Hypervisor) -> None:
    assert hypervisor.pool().UUIDString() == hypervisor.pool().UUIDString()
    pool = hypervisor.pool()
    pool.destroy()
    assert hypervisor.pool().isActive()


def test_a_volume_is_whole_once_all_of_it_is_there(hypervisor: Hypervisor, stream: Stream) -> None:
    content = os.urandom(10000)
    assert hypervisor.whole("kernel") is None
    path = hypervisor.upload("kernel", io.BytesIO(content), len(content))
    assert stream.taken == content
    assert stream.finished
    assert hypervisor.whole("kernel") == path
    assert path.endswith("/kernel")


def test_an_upload_that_fails_leaves_nothing_that_could_be_booted(
    hypervisor: Hypervisor, stream: Stream
) -> None:
    stream.limit = 5000
    with pytest.raises(BootError, match="could not be put into libvirt's storage pool") as failed:
        hypervisor.upload("box.img", io.BytesIO(bytes(10000)), 10000)
    assert "No space left" in failed.value.why
    assert hypervisor.volumes() == {}


@pytest.mark.usefixtures("stream")
def test_an_upload_that_is_interrupted_is_not_taken_for_whole_and_made_anew(
    hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    hypervisor.upload("box.img", io.BytesIO(b"old"), 3)
    with monkeypatch.context() as patch:
        patch.setattr(Stream, "sendAll", interrupt)
        with pytest.raises(KeyboardInterrupt):
            hypervisor.upload("box.img", io.BytesIO(b"half"), 10)
    assert hypervisor.whole("box.img") is None
    hypervisor.upload("box.img", io.BytesIO(b"new"), 3)
    assert hypervisor.whole("box.img")


def test_the_image_is_taken_out_of_the_box(hypervisor: Hypervisor, stream: Stream, tmp_path: Path) -> None:
    (tmp_path / "box.img").write_bytes(b"an image")
    with tarfile.open(tmp_path / "a.box", "w") as archive:
        archive.add(tmp_path / "box.img", "box.img")
    hypervisor.upload_member("v", tmp_path / "a.box", "box.img", capacity=4096)
    assert stream.taken == b"an image"
    described = hypervisor.pool().storageVolLookupByName("v").XMLDesc()
    assert "<capacity unit='bytes'>4096</capacity>" in described
    assert "<format type='qcow2'/>" in described
