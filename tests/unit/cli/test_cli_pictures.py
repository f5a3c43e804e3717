"""`graph` and `config`: which lab is meant, in which form it is told, and where that goes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from fake_lab import Cli, FakeLab
from render_layouts import a_layout, secrets

from labctl.definition.loading import load
from labctl.errors import HostError, UsageError

FILE = """\
name: mine
users: [{name: ann, uid: 10000}]
nodes: [{name: head, roles: [ldap_server, nfs_server, slurmctld, slurmd], partitions: [all]}]
partitions: [{name: all}]
"""


@pytest.fixture
def living(lab: FakeLab) -> FakeLab:
    """The lab `full` with the controller and the CPU nodes of the preset, of which one has crashed."""
    lab.definition = load("full")
    return lab


@pytest.fixture(params=[UsageError("there is no lab"), HostError("libvirt is not there")])
def nothing(request: pytest.FixtureRequest, lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    """A host without labs, or without anybody who knows them."""

    def find(*_: object, **__: object) -> None:
        raise request.param

    monkeypatch.setattr(lab, "find", find)
    return lab


@pytest.fixture
def client(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    layout = a_layout("full")
    monkeypatch.setattr(lab, "layout", lambda: layout, raising=False)
    monkeypatch.setattr(lab, "secrets", lambda: secrets(layout.definition), raising=False)
    monkeypatch.setattr(lab, "slurm_conf", lambda: "SlurmctldHost=slurmctld-0\n", raising=False)
    return lab


@pytest.mark.usefixtures("living")
def test_a_lab_is_drawn_as_it_is(cli: Cli) -> None:
    run = cli("graph", "full")
    assert run.out.startswith("full: running, libvirt (qemu)\n")
    assert "10.20.30.0/24" in run.out
    lines = [" ".join(line.split()) for line in run.out.splitlines()]
    assert "├─ cpu-0 compute node 2 CPUs 1024 MiB ● idle" in lines
    assert "├─ cpu-1 compute node 2 CPUs 1024 MiB ✖ crashed" in lines
    assert "│ Not responding" in lines


@pytest.mark.usefixtures("nothing")
def test_a_preset_without_a_lab_is_drawn_as_planned(cli: Cli) -> None:
    run = cli("graph", "mini-hpc")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("mini-hpc: planned\n")
    assert cli("graph", "nothing-of-the-kind").code != 0
    assert cli("graph").code != 0


@pytest.mark.usefixtures("living")
def test_a_file_is_drawn_as_planned_whatever_labs_there_are(cli: Cli, work: Path) -> None:
    (work / "mine.yml").write_text(FILE)
    assert cli("graph", "mine.yml").out.startswith("mine: planned\n")
    assert cli("graph", "./none.yml").code == 2


@pytest.mark.usefixtures("living")
@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (("--format", "svg"), "<svg "),
        (("--format", "mermaid"), "---\ntitle: "),
        (("--format", "text", "--output", "lab.svg"), "full: running"),
        (("--output", "lab.svg"), "<svg "),
        (("-o", "lab.mmd"), "---\ntitle: "),
        (("-o", "lab.txt"), "full: running"),
    ],
)
def test_the_form_is_the_one_that_is_named_or_that_the_file_is_for(
    cli: Cli, work: Path, words: tuple[str, ...], begins: str
) -> None:
    run = cli("graph", "full", *words)
    files = list(work.iterdir())
    assert run.code == 0
    assert (files[0].read_text() if files else run.out).startswith(begins)
    assert not files or run.out == ""


@pytest.mark.usefixtures("living")
def test_colours_are_where_the_symbols_are(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = cli("graph", "full").out
    assert "\x1b[32m● idle\x1b[0m" in out
    assert "\x1b[1;31m✖ crashed\x1b[0m" in out


@pytest.mark.usefixtures("living")
@pytest.mark.parametrize("words", [("--format", "png"), ("--output", ".")])
def test_what_cannot_be_drawn_is_refused(cli: Cli, work: Path, words: tuple[str, ...]) -> None:
    assert cli("graph", "full", *words).code == 2
    assert list(work.iterdir()) == []


@pytest.mark.usefixtures("living")
def test_a_picture_that_cannot_be_written_is_an_error_in_words(cli: Cli, work: Path) -> None:
    run = cli("graph", "full", "-o", str(work / "no" / "lab.svg"))
    assert run.code == 1
    assert f"cannot be written to {work}/no/lab.svg" in run.err


def test_facts_for_programs_by_default(cli: Cli, client: FakeLab) -> None:
    to = json.loads(cli("config", "play").out)
    assert client.calls[0] == "find play"
    assert to["username"] == "nucci"
    assert to["key_filename"] == "/srv/labs/.labctl/full/id_ed25519"
    assert to["partitions"][0]["nodes"] == ["cpu-0", "cpu-1"]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("ssh", "Host *.full"),
        ("env", "export SLURM_TEST_CLUSTER=full"),
        ("slurmfile", "[default.cluster.backend_config]"),
    ],
)
def test_the_same_for_other_programs(cli: Cli, form: str, line: str) -> None:
    assert line in cli("config", "--format", form).out.splitlines()


@pytest.mark.usefixtures("client")
def test_another_user(cli: Cli) -> None:
    assert json.loads(cli("config", "--user", "root").out)["username"] == "root"
    run = cli("config", "-l", "nuci")
    assert run.code == 2
    assert "did you mean nucci?" in run.err


@pytest.mark.usefixtures("client")
def test_what_a_client_is_set_up_from(cli: Cli) -> None:
    assert cli("config", "--format", "munge").out == "MUNGE-KEY"
    assert "SlurmctldHost=slurmctld-0(10.20.30.12)" in cli("config", "--format", "slurm-conf").out
    assert "kind: Secret" in cli("config", "--format", "kubernetes").out


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("form", ["munge", "slurm-conf", "kubernetes", "json"])
def test_a_file_is_for_its_owner_alone(cli: Cli, work: Path, form: str) -> None:
    before = os.umask(0)
    try:
        assert cli("config", "--format", form, "--output", "file").out == ""
    finally:
        os.umask(before)
    assert (work / "file").read_text() == cli("config", "--format", form).out
    assert stat.S_IMODE((work / "file").stat().st_mode) == 0o600


@pytest.mark.usefixtures("client")
def test_a_file_that_cannot_be_written_is_an_error_in_words(cli: Cli, work: Path) -> None:
    run = cli("config", "--format", "munge", "-o", str(work / "no" / "key"))
    assert run.code == 1
    assert f"{work}/no/key cannot be written" in run.err


@pytest.mark.usefixtures("client")
def test_a_key_is_not_thrown_at_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run = cli("config", "--format", "munge")
    assert run.code == 2
    assert "MUNGE-KEY" not in run.out
    assert "--output" in run.err
