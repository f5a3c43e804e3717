"""The groups a user must be in, and a membership that this login does not know yet."""

from __future__ import annotations

import grp
import os
import shlex
from types import SimpleNamespace

import pytest

from labctl import groups


class Account:
    """The user of these tests, and the groups of the host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held = [1001]
        self.known = {"ann": (1001, []), "libvirt": (106, []), "kvm": (104, [])}
        self.begun: list[tuple[list[str], dict[str, str]]] = []
        for name, value in {
            "geteuid": lambda: 1001,
            "getegid": lambda: 1001,
            "getgroups": lambda: self.held,
            "execvpe": lambda _file, argv, env: self.begun.append((argv, env)),
        }.items():
            monkeypatch.setattr(os, name, value)
        monkeypatch.setattr(groups, "user", lambda: "ann")
        monkeypatch.setattr(grp, "getgrnam", self._group)
        monkeypatch.setattr(grp, "getgrgid", lambda _: self._group("ann"))

    def join(self, *names: str) -> None:
        for name in names:
            self.known[name][1].append("ann")

    def _group(self, name: str) -> SimpleNamespace:
        number, members = self.known[name]
        return SimpleNamespace(gr_name=name, gr_gid=number, gr_mem=members)


@pytest.fixture
def ann(monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.delenv("LABCTL_GROUPS_TRIED", raising=False)
    return Account(monkeypatch)


def test_a_new_user_lacks_both(ann: Account) -> None:
    assert groups.lacking() == ("libvirt", "kvm")
    assert groups.asleep() == ()
    del ann.known["kvm"]  # a host without KVM
    assert groups.lacking() == ("libvirt",)


def test_a_membership_is_asleep_until_the_next_login(ann: Account) -> None:
    ann.join("libvirt")
    assert (groups.lacking(), groups.asleep()) == (("kvm",), ("libvirt",))
    ann.held.append(106)
    assert (groups.lacking(), groups.asleep()) == (("kvm",), ())


def test_root_needs_none(ann: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    ann.join("libvirt")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert (groups.lacking(), groups.asleep()) == ((), ())


def test_the_command_begins_anew_once_for_each_membership(
    ann: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups.take_effect()
    assert ann.begun == []
    ann.join("libvirt")
    groups.take_effect()
    (argv, env), *more = ann.begun
    assert argv[:2] == ["sg", "libvirt"]
    assert not more
    monkeypatch.setenv("LABCTL_GROUPS_TRIED", env["LABCTL_GROUPS_TRIED"])
    groups.take_effect()
    assert len(ann.begun) == 1  # sg did not help, and will not
    ann.join("kvm")
    groups.take_effect()
    assert ann.begun[1][0][:2] == ["sg", "kvm"]


def test_a_host_without_sg_goes_on(ann: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(os, "execvpe", missing)
    ann.join("libvirt")
    groups.take_effect()


def test_the_words_of_the_command_arrive_as_they_were() -> None:
    argv = ["labctl", "exec", "all", "--", "echo", "it's $HOME", "a b"]
    outer = groups.command(["libvirt"], "ann", argv)
    assert outer[:3] == ["sg", "libvirt", "-c"]
    inner = shlex.split(outer[3])
    assert inner[:4] == ["exec", "sg", "ann", "-c"]
    assert shlex.split(inner[4]) == ["exec", *argv]
