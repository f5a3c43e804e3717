"""The roles' own modules, with a fake directory in place of a server and real files in a folder."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from roles_files import ROOT, module

ldap = module(ROOT / "roles/ldap_server/library/ldap_entries.py")
nfs = module(ROOT / "roles/nfs_server/library/nfs_server_tree.py")
hardware = module(ROOT / "roles/slurm_common/library/slurm_hardware.py")

PEOPLE = "ou=People,dc=x"
ANN = f"uid=ann,{PEOPLE}"
MDB = "olcDatabase={1}mdb,cn=config"


class FakeDirectory:
    """An LDAP server as the module sees one, numbering values as cn=config does."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, list[bytes]]] = {}
        self.writes: list[str] = []

    def get(self, dn: str) -> dict[str, list[bytes]] | None:
        return self.entries.get(dn)

    def find(self, base: str, filterstr: str) -> str | None:
        wanted = filterstr.strip("()").partition("=")[2].encode()
        return next(
            (
                dn
                for dn, values in self.entries.items()
                if dn.endswith(base) and wanted in values.get("olcSuffix", [])
            ),
            None,
        )

    def children(self, base: str) -> list[str]:
        return [dn for dn in self.entries if dn.endswith(f",{base}")]

    def add(self, dn: str, attributes: dict[str, list[bytes]]) -> None:
        self.writes.append(f"add {dn}")
        self.entries[dn] = {name: self.stored(name, values) for name, values in attributes.items()}

    def replace(self, dn: str, attributes: dict[str, list[bytes]]) -> None:
        self.writes.append(f"replace {dn} {sorted(attributes)}")
        for name, values in attributes.items():
            self.entries[dn].pop(name, None)
            if values:
                self.entries[dn][name] = self.stored(name, values)

    def delete(self, dn: str) -> None:
        self.writes.append(f"delete {dn}")
        del self.entries[dn]

    def reconnect(self) -> None:
        self.writes.append("reconnect")

    @staticmethod
    def stored(name: str, values: list[bytes]) -> list[bytes]:
        if name.lower() in ldap.ORDERED:
            return [b"{%d}%s" % (index, value) for index, value in enumerate(values)]
        return list(reversed(values))  # a server promises no order


def entry(
    dn: str, state: str = "present", find: Any = None, classes: tuple[str, ...] = (), **attributes: Any
) -> dict[str, Any]:
    return {
        "dn": dn,
        "state": state,
        "find": find,
        "objectClass": list(classes),
        "initially": {},
        "attributes": attributes,
    }


def params(*entries: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"entries": list(entries), "passwords": {}, "update_password": "always", "purge": []} | options


def run(directory: FakeDirectory, wanted: dict[str, Any], *, check: bool = False) -> list[str]:
    return [f"{change.operation} {change.dn}" for change in ldap.run(directory, wanted, check=check)]


ANNS = entry(ANN, classes=("posixAccount",), uid="ann", uidNumber=10000, sshPublicKey=["a", "b"])


def test_an_entry_is_added_once() -> None:
    directory = FakeDirectory()
    assert run(directory, params(ANNS)) == [f"add {ANN}"]
    assert directory.entries[ANN]["uidNumber"] == [b"10000"]
    assert run(directory, params(ANNS)) == []


def test_only_what_differs_is_written() -> None:
    directory = FakeDirectory()
    run(directory, params(ANNS))
    directory.entries[ANN]["mail"] = [b"ann@x"]
    changed = entry(ANN, classes=("posixAccount",), uid="ann", uidNumber=10001, sshPublicKey=["b", "a"])
    run(directory, params(changed))
    assert directory.writes[-1] == f"replace {ANN} ['uidNumber']"
    assert directory.entries[ANN]["mail"] == [b"ann@x"]


def test_an_empty_list_removes_an_attribute() -> None:
    directory = FakeDirectory()
    run(directory, params(ANNS))
    without = entry(ANN, classes=("posixAccount",), uid="ann", uidNumber=10000, sshPublicKey=[])
    assert run(directory, params(without)) == [f"modify {ANN}"]
    assert "sshPublicKey" not in directory.entries[ANN]
    assert run(directory, params(without)) == []


def test_classes_that_others_added_stay() -> None:
    directory = FakeDirectory()
    run(directory, params(entry(ANN, classes=("top", "person"), uid="ann")))
    assert run(directory, params(entry(ANN, classes=("Person",), uid="ann"))) == []


def test_check_mode_tells_and_writes_nothing() -> None:
    directory = FakeDirectory()
    assert run(directory, params(ANNS), check=True) == [f"add {ANN}"]
    assert directory.writes == []


def test_access_rules_keep_their_order() -> None:
    directory = FakeDirectory()
    rules = ["to attrs=userPassword by * none", "to * by * read"]
    run(directory, params(entry(MDB, olcAccess=rules)))
    assert run(directory, params(entry(MDB, olcAccess=rules))) == []
    assert run(directory, params(entry(MDB, olcAccess=rules[::-1]))) == [f"modify {MDB}"]


def test_a_database_is_found_by_its_suffix_and_not_made_twice() -> None:
    directory = FakeDirectory()
    directory.entries[MDB] = {"olcDatabase": [b"{1}mdb"], "olcSuffix": [b"dc=x"]}
    wanted = entry(
        "olcDatabase=mdb,cn=config",
        find={"base": "cn=config", "filter": "(olcSuffix=dc=x)"},
        olcDatabase="mdb",
        olcSuffix="dc=x",
    )
    assert run(directory, params(wanted)) == []


def test_what_an_entry_is_made_with_is_left_alone_afterwards() -> None:
    directory = FakeDirectory()
    wanted = entry(MDB, olcSuffix="dc=x") | {"initially": {"olcDbDirectory": "/var/lib/ldap/x"}}
    run(directory, params(wanted))
    assert directory.entries[MDB]["olcDbDirectory"] == [b"/var/lib/ldap/x"]
    directory.entries[MDB]["olcDbDirectory"] = [b"/var/lib/ldap"]
    assert run(directory, params(wanted)) == []


def test_an_entry_that_is_to_be_once_is_left_alone() -> None:
    directory = FakeDirectory()
    schema = entry("cn=lpk,cn=schema,cn=config", state="once", olcAttributeTypes="( 1.2 NAME 'a' )")
    run(directory, params(schema))
    directory.entries[schema["dn"]]["olcAttributeTypes"] = [b"{0}( 1.2   NAME 'a' )"]
    assert run(directory, params(schema)) == []


def test_the_daemons_own_entry_is_changed_over_a_new_connection_each_time() -> None:
    directory = FakeDirectory()
    directory.entries["cn=config"] = {}
    run(directory, params(entry("cn=config", olcLocalSSF=256), entry("cn=config", olcSecurity="ssf=128")))
    assert directory.writes == [
        "replace cn=config ['olcLocalSSF']",
        "reconnect",
        "replace cn=config ['olcSecurity']",
        "reconnect",
    ]


@pytest.mark.parametrize(("policy", "changes"), [("always", [f"modify {ANN}"]), ("on_create", [])])
def test_a_password_that_a_user_changed(policy: str, changes: list[str]) -> None:
    directory = FakeDirectory()
    options: dict[str, Any] = {"passwords": {ANN: "{CRYPT}$6$old"}, "update_password": policy}
    run(directory, params(ANNS, **options))
    assert run(directory, params(ANNS, **options)) == []
    directory.entries[ANN]["userPassword"] = [b"{CRYPT}$6$theirs"]
    assert run(directory, params(ANNS, **options)) == changes


def test_a_user_who_had_none_gets_a_password_whatever_the_policy() -> None:
    directory = FakeDirectory()
    run(directory, params(ANNS))
    assert run(directory, params(ANNS, passwords={ANN: "{CRYPT}x"}, update_password="on_create")) == [
        f"modify {ANN}"
    ]


def test_purging_removes_who_is_no_longer_listed() -> None:
    directory = FakeDirectory()
    bob = f"uid=bob,{PEOPLE}"
    run(directory, params(ANNS, entry(bob, uid="bob")))
    assert run(directory, params(ANNS)) == []
    assert run(directory, params(ANNS, purge=[PEOPLE])) == [f"delete {bob}"]
    assert list(directory.entries) == [ANN]


def test_an_absent_entry_goes_once() -> None:
    directory = FakeDirectory()
    run(directory, params(ANNS))
    assert run(directory, params(entry(ANN, state="absent"))) == [f"delete {ANN}"]
    assert run(directory, params(entry(ANN, state="absent"))) == []


def test_a_difference_shows_no_password() -> None:
    shown = ldap.text(ANN, {"userPassword": [b"{CRYPT}$6$x"], "uid": [b"ann"]})
    assert "{CRYPT}" not in shown
    assert "uid: ann" in shown


ME = {"owner": str(os.getuid()), "group": str(os.getgid()), "mode": "0750"}


def tree(folder: Path, *, check: bool = False) -> Any:
    """A tree of the module whose homes are made by a stand-in for mkhomedir_helper."""
    return nfs.Tree(lambda command: (folder / command[1]).mkdir(mode=0o700), time.monotonic(), check=check)


def test_a_directory_is_made_with_its_mode_and_then_left(tmp_path: Path) -> None:
    spec = {"path": str(tmp_path / "a/b"), **ME}
    first, second = tree(tmp_path), tree(tmp_path)
    first.directory(spec)
    second.directory(spec)
    assert (tmp_path / "a/b").stat().st_mode & 0o7777 == 0o750
    assert (len(first.changes) > 0, second.changes) == (True, [])


def test_check_mode_makes_no_directory(tmp_path: Path) -> None:
    checked = tree(tmp_path, check=True)
    checked.directory({"path": str(tmp_path / "a"), **ME})
    assert checked.changes == [f"make {tmp_path / 'a'}"]
    assert not (tmp_path / "a").exists()


def test_a_link_is_made_and_moved_but_replaces_nothing_else(tmp_path: Path) -> None:
    spec = {"path": str(tmp_path / "link"), "target": "one", "owner": ME["owner"]}
    tree(tmp_path).link(spec)
    tree(tmp_path).link(spec | {"target": "two"})
    assert (tmp_path / "link").readlink() == Path("two")
    again = tree(tmp_path)
    again.link(spec | {"target": "two"})
    assert again.changes == []
    (tmp_path / "full").mkdir()
    with pytest.raises(nfs.RefusedError, match="no link"):
        tree(tmp_path).link(spec | {"path": str(tmp_path / "full")})


def test_a_home_that_is_there_is_its_owners_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Account:
        pw_dir = str(tmp_path / "ann")

    monkeypatch.setattr(nfs.pwd, "getpwnam", lambda _: Account)
    first, second = tree(tmp_path), tree(tmp_path)
    first.home("ann")
    second.home("ann")
    assert (first.changes, second.changes) == ([f"make {tmp_path / 'ann'}"], [])


def test_an_owner_whom_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(nfs.RefusedError, match="no-such-user-here"):
        tree(tmp_path).home("no-such-user-here")


PRINTED = (
    "NodeName=a CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=2 RealMemory=961 Gres=b"
)


def test_the_hardware_is_what_slurmd_prints() -> None:
    assert hardware.hardware(PRINTED) == {
        "CPUs": 4,
        "Boards": 1,
        "SocketsPerBoard": 1,
        "CoresPerSocket": 2,
        "ThreadsPerCore": 2,
        "RealMemory": 961,
    }


def test_a_dead_node_is_what_slurm_conf_said() -> None:
    conf = "Port=1\nNodeName=cpu-0 CPUs=2 RealMemory=900 Feature=a\nNodeName=cpu-1\nNodeName=cpu-10 CPUs=9"
    assert hardware.known(conf, ["cpu-0", "cpu-1"]) == {"cpu-0": {"CPUs": 2, "RealMemory": 900}}


services = module(ROOT / "roles/common/library/current_services.py")


class FakeSystemd:
    """Answers systemctl for units that are all alike, as systemd 252 does."""

    def __init__(self, **properties: str) -> None:
        self.properties = {
            "LoadState": "loaded",
            "ActiveState": "active",
            "UnitFileState": "enabled",
            "NeedDaemonReload": "no",
            "StateChangeTimestamp": "Tue 2023-11-14 22:13:20.250000 UTC",
        } | properties
        self.calls: list[str] = []
        self.asked = 0
        self.environ: dict[str, str] = {}
        self.fails = ""
        self.hangs_up = 0  # on so many of the next questions

    def __call__(
        self, command: list[str], environ_update: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        self.environ |= environ_update or {}
        self.asked += 1
        if command[1] == "show" and self.hangs_up:
            self.hangs_up -= 1
            return 1, "", "Failed to get properties: Connection reset by peer"
        units = [word for word in command if word.endswith(".service")]
        if command[1] == "show":
            one = "".join(f"{key}={value}\n" for key, value in self.properties.items())
            return 0, "\n".join(one for _ in units), ""
        if command[0] == "journalctl":
            return 0, "fatal: no such node\n", ""
        if command[1] == "is-enabled":
            state = self.properties["UnitFileState"]
            said = "" if "--quiet" in command else f"{state}\n" * len(units)
            return (1 if state == "disabled" else 0), said, ""
        self.calls.append(" ".join(command))
        return (1, "", "Job failed") if command[1] == self.fails else (0, "", "")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "conf"
    path.write_text("x", encoding="utf-8")
    return path


def after(path: Path, seconds: float) -> dict[str, str]:
    """A unit that started so many seconds after the file came to be."""
    os.utime(path, (0, 0))  # a copy may carry any mtime; what counts is when it came here
    moment = datetime.fromtimestamp(path.stat().st_ctime + seconds, UTC)
    return {"StateChangeTimestamp": moment.strftime("%a %Y-%m-%d %H:%M:%S.%f UTC")}


def service(conf: Path, action: str = "restarted") -> dict[str, Any]:
    return {"name": "x.service", "files": [str(conf), "/no/such/file"], "action": action}


def test_a_service_that_read_its_files_is_left_alone(conf: Path) -> None:
    systemd = FakeSystemd(**after(conf, 1))
    assert services.converge(systemd, [service(conf)], check=False) == []
    assert systemd.calls == []


def test_services_that_are_current_take_two_questions_however_many_they_are(conf: Path) -> None:
    systemd = FakeSystemd(**after(conf, 1))
    assert services.converge(systemd, [service(conf), service(conf), service(conf)], check=False) == []
    assert systemd.asked == 2


def test_units_are_taken_apart_in_their_order() -> None:
    def systemctl(command: list[str]) -> tuple[int, str, str]:
        if command[1] == "show":
            return (
                0,
                "LoadState=loaded\nUnitFileState=enabled\n\nLoadState=not-found\nUnitFileState=masked\n",
                "",
            )
        return 0, "enabled\nmasked\n", ""

    first, second = services.look(systemctl, ["a.service", "b.service"])
    assert (first.name, first.loaded, first.enabled) == ("a.service", True, True)
    assert (second.name, second.loaded, second.enabled) == ("b.service", False, False)


@pytest.mark.parametrize(("action", "verb"), [("restarted", "restart"), ("reloaded", "reload")])
def test_a_file_written_after_the_start_is_read_again(conf: Path, action: str, verb: str) -> None:
    systemd = FakeSystemd(**after(conf, -0.1))
    changed = services.converge(systemd, [service(conf, action)], check=False)
    assert changed == [f"{verb} x.service"]
    assert systemd.calls == [f"systemctl {verb} x.service"]


def test_a_service_that_is_off_is_enabled_and_started_once(conf: Path) -> None:
    systemd = FakeSystemd(ActiveState="inactive", UnitFileState="disabled", StateChangeTimestamp="")
    assert services.converge(systemd, [service(conf)], check=False) == ["enable x.service", "start x.service"]
    assert systemd.calls == ["systemctl --no-reload enable x.service", "systemctl start x.service"]
    assert systemd.environ == {"SYSTEMCTL_SKIP_SYSV": "1"}  # its script in init.d would cost seconds


def test_a_service_of_an_old_script_is_enabled_by_its_script(conf: Path) -> None:
    systemd = FakeSystemd(UnitFileState="generated", **after(conf, 1))
    assert services.converge(systemd, [service(conf)], check=False) == []
    unit = services.look(systemd, ["x.service"])[0]._replace(enabled=False)
    services.act(systemd, "enable", unit)
    assert systemd.calls == ["systemctl enable x.service"]
    assert systemd.environ == {}


def test_changed_units_are_read_by_systemd_first(conf: Path) -> None:
    systemd = FakeSystemd(NeedDaemonReload="yes", **after(conf, -1))
    services.converge(systemd, [service(conf)], check=False)
    assert systemd.calls == ["systemctl daemon-reload", "systemctl restart x.service"]


def test_a_unit_that_takes_the_place_of_a_script_is_enabled_itself(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Replaced(FakeSystemd):
        def __call__(self, command: list[str], **options: Any) -> tuple[int, str, str]:
            if command[1] == "daemon-reload":
                self.properties |= {"UnitFileState": "disabled", "FragmentPath": f"{tmp_path}/x.service"}
            return super().__call__(command, **options)

    monkeypatch.setattr(services, "UNIT_FOLDERS", (str(tmp_path),))
    fragment = f"{services.GENERATED}.late/x.service"
    systemd = Replaced(UnitFileState="generated", FragmentPath=fragment, **after(conf, -1))
    assert not services.look(systemd, ["x.service"])[0].outdated  # nothing has taken its place yet
    (tmp_path / "x.service").write_text("[Service]")
    services.converge(systemd, [service(conf)], check=False)
    assert systemd.calls == [
        "systemctl daemon-reload",
        "systemctl --no-reload enable x.service",
        "systemctl restart x.service",
    ]


def test_a_file_that_goes_before_the_package_s_is_read_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd read the package's unit when that was installed, and says nothing of the one in /etc."""
    ours, theirs = tmp_path / "etc", tmp_path / "lib"
    for folder in (ours, theirs):
        folder.mkdir()
    (theirs / "x.service").write_text("[Service]")
    monkeypatch.setattr(services, "UNIT_FOLDERS", (str(ours), str(theirs)))
    systemd = FakeSystemd(ActiveState="failed", FragmentPath=f"{theirs}/x.service")
    assert not services.look(systemd, ["x.service"])[0].outdated  # nothing goes before it yet
    (ours / "x.service").symlink_to(theirs / "x.service")
    assert not services.look(systemd, ["x.service"])[0].outdated  # another name of the same
    (ours / "x.service").unlink()
    (ours / "x.service").write_text("[Service]")
    services.converge(systemd, [service(tmp_path / "x.conf")], check=False)
    assert systemd.calls == ["systemctl daemon-reload", "systemctl start x.service"]
    assert not services.look(FakeSystemd(FragmentPath=f"{ours}/x.service"), ["x.service"])[0].outdated


def test_check_mode_touches_no_service(conf: Path) -> None:
    systemd = FakeSystemd(ActiveState="inactive", LoadState="not-found", NeedDaemonReload="yes")
    assert services.converge(systemd, [service(conf)], check=True) == ["start x.service"]
    assert systemd.calls == []


def test_a_service_that_does_not_start_says_what_its_journal_says(conf: Path) -> None:
    systemd = FakeSystemd(ActiveState="failed")
    systemd.fails = "start"
    with pytest.raises(services.RefusedError, match="no such node"):
        services.converge(systemd, [service(conf)], check=False)


def test_a_unit_that_is_not_there_is_an_error(conf: Path) -> None:
    with pytest.raises(services.RefusedError, match="no unit"):
        services.converge(FakeSystemd(LoadState="not-found"), [service(conf)], check=False)


def test_systemd_is_asked_again_when_it_hangs_up(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PAUSE", 0)
    systemd = FakeSystemd(**after(conf, 1))
    systemd.hangs_up = services.TRIES - 1
    assert services.converge(systemd, [service(conf)], check=False) == []
    systemd.hangs_up = services.TRIES
    with pytest.raises(services.RefusedError, match="Connection reset by peer"):
        services.converge(systemd, [service(conf)], check=False)


@pytest.mark.parametrize("name", ["current_services", "written_files"])
def test_every_role_has_the_same_module(name: str) -> None:
    links = sorted(ROOT.glob(f"roles/*/library/{name}.py"))
    assert {link.resolve() for link in links} == {ROOT / f"roles/common/library/{name}.py"}
    users = {path.parts[-3] for path in ROOT.glob("roles/*/tasks/*.yml") if f"{name}:" in path.read_text()}
    assert users | {"common"} == {link.parts[-3] for link in links}


release = module(ROOT / "roles/common/library/os_release.py")


@pytest.mark.parametrize(
    ("fields", "family"),
    [
        ({"ID": "debian", "NAME": "Debian GNU/Linux", "VERSION_ID": "12"}, "Debian"),
        ({"ID": "ubuntu", "ID_LIKE": "debian", "NAME": "Ubuntu"}, "Debian"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora", "NAME": "Rocky Linux"}, "RedHat"),
        ({"ID": "alpine", "NAME": "Alpine Linux"}, "Alpine"),
    ],
)
def test_a_distribution_is_known_by_itself_or_by_its_kin(fields: dict[str, str], family: str) -> None:
    assert release.facts(fields)["ansible_os_family"] == family
    assert release.facts(fields)["ansible_distribution"] == fields["NAME"].split()[0]


files = module(ROOT / "roles/common/library/written_files.py")


def write(monkeypatch: pytest.MonkeyPatch, *wanted: dict[str, Any], **internal: Any) -> dict[str, Any]:
    """What the module says, run as Ansible runs it."""
    me = {"owner": os.getuid(), "group": os.getgid()}
    arguments = {
        "files": [{**me, **one} for one in wanted],
        **{f"_ansible_{key}": value for key, value in internal.items()},
    }
    ended: dict[str, Any] = {}

    class Ended(Exception):  # noqa: N818 - it is none
        pass

    def end(_: Any, **result: Any) -> None:
        ended.update(result)
        raise Ended

    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    monkeypatch.setattr(basic.AnsibleModule, "exit_json", end)
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", end)
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda *_, **__: None)
    with pytest.raises(Ended):
        files.main()
    return ended


def test_files_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"dest": str(tmp_path / "etc/new/one.conf"), "content": "a = 1\n"}
    two = {"dest": str(tmp_path / "two.key"), "content": "secret", "mode": "0400"}
    assert write(monkeypatch, one, two)["written"] == [one["dest"], two["dest"]]
    assert (tmp_path / "etc/new/one.conf").read_text() == "a = 1\n"
    assert (tmp_path / "etc/new/one.conf").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "two.key").stat().st_mode & 0o777 == 0o400
    again = write(monkeypatch, one, two)
    assert (again["changed"], again["written"]) == (False, [])
    (tmp_path / "two.key").chmod(0o644)
    assert write(monkeypatch, one, two)["written"] == [two["dest"]]
    assert (tmp_path / "two.key").stat().st_mode & 0o777 == 0o400
    assert not list(tmp_path.glob(".*"))


def test_check_mode_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_text("old")
    wanted = (
        {"dest": str(tmp_path / "old"), "content": "new"},
        {"dest": str(tmp_path / "sub/new"), "content": "new"},
    )
    said = write(monkeypatch, *wanted, check_mode=True, diff=True)
    assert said["changed"]
    assert [(change["before"], change["after"]) for change in said["diff"]] == [("old", "new"), ("", "new")]
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_texts_are_in_the_diff_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"dest": str(tmp_path / "x"), "content": "the secret"}
    assert "the secret" not in json.dumps(write(monkeypatch, wanted))
    wanted["content"] = "the next secret"
    assert "the next secret" in json.dumps(write(monkeypatch, wanted, diff=True)["diff"])


def test_a_file_that_would_not_be_valid_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_text("good\n")
    said = write(monkeypatch, {"dest": str(path), "content": "bad\n", "validate": "grep -q good %s"})
    assert "would not be valid" in said["msg"]
    assert path.read_text() == "good\n"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]
    assert write(monkeypatch, {"dest": str(path), "content": "very good\n", "validate": "grep -q good %s"})[
        "changed"
    ]


def test_a_link_stays_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared").write_text("old")
    (tmp_path / "link").symlink_to("shared")
    assert write(monkeypatch, {"dest": str(tmp_path / "link"), "content": "new"})["changed"]
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "shared").read_text() == "new"


OTHERS = "account required pam_nologin.so\n"


def test_a_block_is_at_the_end_of_a_file_of_others_and_goes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sshd"
    path.write_text(OTHERS)
    ours = {"dest": str(path), "block": "slurmd", "content": "account required a.so\n"}
    assert write(monkeypatch, ours)["changed"]
    first, begin, line, end = path.read_text().splitlines()
    assert (first, line) == (OTHERS.strip(), "account required a.so")
    assert begin.startswith("# BEGIN slurmd") and end.startswith("# END slurmd")  # noqa: PT018 - one fact
    assert not write(monkeypatch, ours)["changed"]
    path.write_text(path.read_text() + "account required late.so\n")
    assert write(monkeypatch, {**ours, "content": "account required b.so"})["changed"]
    assert path.read_text().splitlines() == [
        first,
        "account required late.so",
        begin,
        "account required b.so",
        end,
    ]
    assert write(monkeypatch, {**ours, "content": ""})["changed"]
    assert path.read_text() == OTHERS + "account required late.so\n"


def test_no_block_is_no_reason_to_touch_a_file_or_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_text("of others, with no end of line")
    for name in ("there", "not-there"):
        wanted = {"dest": str(tmp_path / name), "block": "slurmd", "content": ""}
        assert not write(monkeypatch, wanted)["changed"]
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "of others, with no end of line"
