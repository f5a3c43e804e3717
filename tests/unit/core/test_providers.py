"""Who makes machines: what the user says, or what the host has."""

from __future__ import annotations

import sys

import pytest
from programs import Programs

from labctl import process, providers
from labctl.errors import BoxError, HostError
from labctl.providers.through_libvirt import LibvirtProvider
from labctl.providers.virtualbox import VirtualBoxProvider


@pytest.fixture
def host(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A host without any program."""
    monkeypatch.setattr(process, "search_path", lambda: str(programs.folder))
    return programs


@pytest.mark.parametrize(
    ("installed", "wanted", "chosen"),
    [
        ((), "auto", "libvirt"),
        (("libvirtd",), "auto", "libvirt"),
        (("VBoxManage",), "auto", "virtualbox"),
        (("libvirtd", "VBoxManage"), "auto", "libvirt"),
        (("libvirtd", "VBoxManage"), "virtualbox", "virtualbox"),
        (("VBoxManage",), "libvirt", "libvirt"),
    ],
)
def test_the_users_word_counts_then_what_is_installed(
    host: Programs, installed: tuple[str, ...], wanted: str, chosen: str
) -> None:
    for program in installed:
        host.add(program)
    assert providers.which(wanted) == chosen


@pytest.mark.parametrize(
    ("installed", "there"),
    [
        ((), ("libvirt",)),
        (("VBoxManage",), ("virtualbox",)),
        (("libvirtd", "VBoxManage"), ("libvirt", "virtualbox")),
    ],
)
def test_whoever_may_have_machines_is_asked(
    host: Programs, installed: tuple[str, ...], there: tuple[str, ...]
) -> None:
    for program in installed:
        host.add(program)
    assert providers.there() == there


def test_programs_of_the_administrator_are_found_for_users_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert process.installed("ldconfig")
    assert not process.installed("no-such-program")


@pytest.mark.usefixtures("hypervisor")
def test_the_chosen_one_is_made() -> None:
    assert isinstance(providers.choose("virtualbox"), VirtualBoxProvider)
    assert isinstance(providers.choose("libvirt"), LibvirtProvider)


def test_a_host_without_libvirts_library_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "labctl.providers.through_libvirt")
    monkeypatch.delitem(sys.modules, "labctl.providers.libvirt")
    monkeypatch.setitem(sys.modules, "libvirt", None)
    with pytest.raises(HostError, match="libvirt's library is missing") as failed:
        providers.choose("libvirt")
    assert failed.value.hint == "make setup"


def test_a_public_box_boots_by_itself_and_has_nothing_installed() -> None:
    image = providers.public_image("debian/bookworm64")
    assert (image.name, image.user, image.baked, image.kernel) == (
        "debian/bookworm64",
        "vagrant",
        False,
        None,
    )


def test_a_box_that_nobody_builds_is_refused() -> None:
    with pytest.raises(BoxError, match="there is no box 'debain-12'") as refused:
        providers.public_image("debain-12")
    assert refused.value.hint == "did you mean debian-12?"
