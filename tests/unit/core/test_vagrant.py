"""Vagrant without its surprises: what it says is kept, what failed is not destroyed, errors have no Ruby in them."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from programs import Programs

from labctl.console import Step
from labctl.errors import BootError, BoxError, HostError
from labctl.process import ProcessError
from labctl.providers import vagrant
from labctl.providers.vagrant import LabVagrant, add_box, follower, forget_box, forget_machines, reasons

# As Vagrant 2.3.4 with vagrant-libvirt 0.11.2 said it.
FAILED = """\
==> cpu-0: An error occurred. The error will be shown after all tasks complete.
An error occurred while executing multiple actions in parallel.
Any errors that occurred are shown below.

An unexpected error occurred when executing the action on the
'cpu-0' machine. Please report this as a bug:

Call to virDomainCreateWithFlags failed: Cannot access storage file

/usr/share/rubygems-integration/all/gems/fog-libvirt-0.9.0/lib/fog/libvirt/requests/compute/vm_action.rb:7:in `create'
/usr/lib/ruby/vendor_ruby/vagrant/action/warden.rb:48:in `call'

An error occurred while executing the action on the 'cpu-1'
machine. Please handle this error then try again:

There is not enough memory.
"""
SHOWN = """\
An unexpected error occurred when executing the action on the
'cpu-0' machine.
Call to virDomainCreateWithFlags failed: Cannot access storage file
An error occurred while executing the action on the 'cpu-1'
machine. Please handle this error then try again:
There is not enough memory."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "boot.log"


def test_errors_lose_their_ruby_traces() -> None:
    assert reasons(FAILED) == SHOWN


def test_an_error_that_ruby_prints_is_told_without_its_trace() -> None:
    log = """\
==> cpu-0: Starting domain.
/usr/lib/fog/vm_action.rb:7:in `create': Call to virDomainCreateWithFlags failed: Permission denied (Libvirt::Error)
\tfrom /usr/lib/ruby/fog/vm_action.rb:7:in `vm_action'
\tfrom /usr/lib/ruby/fog/server.rb:76:in `start'
"""
    assert reasons(log) == "Call to virDomainCreateWithFlags failed: Permission denied"


def test_what_is_no_such_list_of_errors_is_not_taken_for_one() -> None:
    assert (
        reasons("==> cpu-0: Creating domain\nThere are errors in the configuration of this machine\n") == ""
    )


def test_machines_are_made_side_by_side_and_kept_if_one_fails(
    programs: Programs, tmp_path: Path, log: Path
) -> None:
    programs.add("vagrant", 'pwd > "$PROGRAMS/where"; echo "==> cpu-0: Creating domain"')
    said: list[str] = []
    LabVagrant(tmp_path, log=log, on_line=said.append).make(["cpu-0", "cpu-1"], "libvirt")
    words = programs.calls("vagrant")[0].split()
    assert words[:3] == ["up", "cpu-0", "cpu-1"]
    assert {"--parallel", "--no-destroy-on-error", "--provider=libvirt"} <= set(words)
    assert (programs.folder / "where").read_text().strip() == str(tmp_path)
    assert said == ["==> cpu-0: Creating domain"]
    assert said[0] in log.read_text()


@pytest.mark.parametrize("name", ["Vagrantfile", "Vagrantfile.seed"])
def test_it_is_told_of_the_machines_by_the_file_that_is_meant(
    programs: Programs, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, *, name: str
) -> None:
    monkeypatch.setenv("VAGRANT_VAGRANTFILE", "one-of-the-users-own")
    programs.add("vagrant", 'echo "$VAGRANT_VAGRANTFILE" > "$PROGRAMS/which"')
    LabVagrant(tmp_path, name, log=log).make(["cpu-0"], "libvirt")
    assert (programs.folder / "which").read_text() == f"{name}\n"


def test_a_failure_says_what_failed(programs: Programs, tmp_path: Path, log: Path) -> None:
    (tmp_path / "said").write_text(FAILED)
    programs.add("vagrant", f"cat {tmp_path}/said >&2; exit 1")
    with pytest.raises(BootError, match="Vagrant could not make the machines") as failed:
        LabVagrant(tmp_path, log=log).make(["cpu-0"], "libvirt")
    assert failed.value.why == SHOWN
    assert str(log) in failed.value.hint
    assert ".rb:" in log.read_text()


def test_a_failure_of_another_kind_is_not_mixed_up_with_an_earlier_one(
    programs: Programs, tmp_path: Path, log: Path
) -> None:
    log.write_text(FAILED)
    programs.add("vagrant", "echo 'There is a syntax error in the Vagrantfile' >&2; exit 1")
    with pytest.raises(BootError) as failed:
        LabVagrant(tmp_path, log=log).make(["cpu-0"], "libvirt")
    assert failed.value.why == "There is a syntax error in the Vagrantfile"


def test_vagrant_is_let_go_once_the_machines_answer(programs: Programs, tmp_path: Path, log: Path) -> None:
    programs.add("vagrant", "echo '==> cpu-0: Waiting for SSH'; sleep 60")
    answered = threading.Event()
    started = time.monotonic()
    LabVagrant(tmp_path, log=log, on_line=lambda _: answered.set(), enough=answered).make(
        ["cpu-0"], "libvirt"
    )
    assert time.monotonic() - started < 15


def test_without_vagrant_the_host_is_what_is_wrong(
    programs: Programs, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.only(monkeypatch)
    with pytest.raises(HostError, match="Vagrant is not installed"):
        LabVagrant(tmp_path, log=log)
    assert vagrant.version() == ""


def test_its_version_is_a_number(programs: Programs) -> None:
    programs.add("vagrant", "echo Vagrant 2.3.4")
    assert vagrant.version() == "2.3.4"


def test_progress_is_shown_by_node_in_vagrants_own_words(view: Step) -> None:
    follow = follower(["cpu-0"], view)
    follow("==> cpu-0: Creating domain with the following settings...")
    assert view.nodes["cpu-0"].text == "Creating domain with the following settings"
    for line in ("==> cpu-0:  -- Memory: 768M", "==> other: Halting", "    cpu-0: SSH address", "nothing"):
        follow(line)
    assert list(view.nodes) == ["cpu-0"]
    assert view.nodes["cpu-0"].text == "Creating domain with the following settings"


def test_a_box_is_added_once_under_a_version_that_never_changes(
    programs: Programs, tmp_path: Path, log: Path
) -> None:
    home = tmp_path / "vagrant" / "boxes" / "labctl-debian-12-abc" / "1.0.0" / "libvirt"
    programs.add(
        "vagrant", f'cp "${{@: -1}}" "$PROGRAMS/catalog"; mkdir -p {home}; touch {home}/metadata.json'
    )
    for _ in range(2):
        add_box("labctl-debian-12-abc", tmp_path / "debian-12.box", log)
    assert len(programs.calls("vagrant")) == 1
    assert programs.calls("vagrant")[0].startswith("box add --force")
    catalog = json.loads((programs.folder / "catalog").read_text())
    assert catalog["name"] == "labctl-debian-12-abc"
    assert catalog["versions"] == [
        {
            "version": "1.0.0",
            "providers": [{"name": "libvirt", "url": f"file://{tmp_path}/debian-12.box"}],
        }
    ]
    forget_box("labctl-debian-12-abc")
    add_box("labctl-debian-12-abc", tmp_path / "debian-12.box", log)
    assert len(programs.calls("vagrant")) == 2


def test_vagrant_looks_for_boxes_where_they_were_put(
    programs: Programs, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where USERPROFILE is set, as WSL may do, Vagrant would look there."""
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "windows"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("VAGRANT_HOME")
    programs.add("vagrant", 'echo "$VAGRANT_HOME" > "$PROGRAMS/where"')
    LabVagrant(tmp_path, log=log).make(["cpu-0"], "libvirt")
    assert (programs.folder / "where").read_text() == f"{tmp_path}/.vagrant.d\n"


def test_a_box_that_vagrant_refuses_is_an_error_of_the_box(
    programs: Programs, tmp_path: Path, log: Path
) -> None:
    programs.add("vagrant", "echo The box failed to unpackage; exit 1")
    with pytest.raises(BoxError, match="labctl-x") as failed:
        add_box("labctl-x", tmp_path / "x.box", log)
    assert "failed to unpackage" in failed.value.why
    assert isinstance(failed.value.__cause__, ProcessError)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "vagrant" / "data" / "machine-index" / "index"
    path.parent.mkdir(parents=True)
    machines = {
        "a": {"name": "cpu-0", "vagrantfile_path": "/labs/full"},
        "b": {"name": "cpu-1", "vagrantfile_path": "/labs/full"},
        "c": {"name": "cpu-0", "vagrantfile_path": "/labs/other"},
    }
    path.write_text(json.dumps({"version": 1, "machines": machines}))
    return path


@pytest.mark.parametrize(("node", "left"), [("", {"c"}), ("cpu-0", {"b", "c"})], ids=["all", "one"])
def test_machines_that_are_gone_leave_vagrants_index(index: Path, node: str, left: set[str]) -> None:
    forget_machines(Path("/labs/full"), node)
    content = json.loads(index.read_text())
    assert set(content["machines"]) == left
    assert content["version"] == 1


def test_an_index_that_vagrant_left_half_written_is_in_nobodys_way(index: Path) -> None:
    index.write_text('{"version": 1, "machi')
    forget_machines(Path("/labs/full"))
    index.unlink()
    forget_machines(Path("/labs/full"))
