"""`labctl cp`: which files go where. A node is a folder here, and scp copies among them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fake_lab import Cli, FakeLab

from labctl.reach.copying import Place, place

SCP = r"""#!/bin/bash
echo "$*" >> "$NODES/calls"
flags=()
while [ "$1" != -- ]; do [ "$1" != -r ] || flags=(-r); shift; done
places=()
for word in "${@:2}"; do
    case $word in
    *:*) node=${word%%:*}; places+=("$NODES/${node#*@}/${word#*:}") ;;
    *) places+=("$word") ;;
    esac
done
exec cp "${flags[@]}" "${places[@]}"
"""


@pytest.fixture
def nodes(work: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The nodes' folders; the current one is another, and empty."""
    folder = tmp_path_factory.mktemp("nodes")
    for name in FakeLab.NODES["all"]:
        (folder / name / "tmp").mkdir(parents=True)
        (folder / name / "tmp" / "log").write_text(f"of {name}")
    (folder / "scp").write_text(SCP)
    (folder / "scp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NODES", str(folder))
    (work / "job.sh").write_text("a job")
    (work / "src").mkdir()
    (work / "src" / "main.c").write_text("a program")
    return folder


def calls(nodes: Path) -> list[str]:
    noted = nodes / "calls"
    return sorted(noted.read_text().splitlines()) if noted.exists() else []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("job.sh", Place("job.sh")),
        ("/srv/a:b", Place("/srv/a:b")),
        ("./a:b", Place("./a:b")),
        (":b", Place(":b")),
        ("cpu-0:", Place("", "cpu-0")),
        ("cpu-[0-1]:/srv/a:b", Place("/srv/a:b", "cpu-[0-1]")),
        ("cpu-[0-8/2]:x", Place("x", "cpu-[0-8/2]")),
        ("@slurmd:/srv", Place("/srv", "@slurmd")),
        ("cpu-0,@gpu:/srv", Place("/srv", "cpu-0,@gpu")),
        ("nucci@cpu-0:x", Place("x", "cpu-0", "nucci")),
        ("nucci@@slurmd:x", Place("x", "@slurmd", "nucci")),
    ],
)
def test_where_a_place_is(text: str, expected: Place) -> None:
    assert place(text) == expected


def test_who_to_be_is_said_once_or_at_the_place() -> None:
    assert place("cpu-0:x", "ann").at("cpu-0") == "ann@cpu-0:x"
    assert place("bob@cpu-0:x", "ann").at("cpu-0") == "bob@cpu-0:x"
    assert place("x", "ann").user == ""


def test_to_several_nodes(cli: Cli, nodes: Path) -> None:
    run = cli("cp", "job.sh", "src/main.c", "@slurmd:/tmp/")
    assert (run.code, run.out, run.err) == (0, "", "")
    for node in ("cpu-0", "cpu-1"):
        assert (nodes / node / "tmp/job.sh").read_text() == "a job"
        assert (nodes / node / "tmp/main.c").exists()
    assert not (nodes / "slurmctld-0/tmp/job.sh").exists()
    config = "-q -F /labs/.labctl/full/ssh_config"
    assert calls(nodes)[0] == f"{config} -- job.sh src/main.c cpu-0:/tmp/"


def test_as_somebody_and_with_folders(cli: Cli, nodes: Path) -> None:
    assert cli("cp", "-r", "-u", "nucci", "src", "cpu-0:tmp").code == 0
    assert (nodes / "cpu-0/tmp/src/main.c").exists()
    assert calls(nodes)[0].endswith("-r -- src nucci@cpu-0:tmp")


def test_from_one_node_a_file_goes_where_it_is_told(cli: Cli, nodes: Path, work: Path) -> None:
    assert cli("cp", "cpu-0:/tmp/log", "mine").code == 0
    assert cli("cp", "cpu-1:/tmp/log", ".").code == 0
    assert cli("cp", "cpu-1:/tmp/log", "new/").code == 0
    assert (work / "mine").read_text() == "of cpu-0"
    assert (work / "log").read_text() == (work / "new/log").read_text() == "of cpu-1"
    assert len(calls(nodes)) == 3


@pytest.mark.parametrize("sources", [["@slurmd:/tmp/log"], ["cpu-0:/tmp/log", "cpu-1:/tmp/log"]])
def test_from_several_nodes_each_gets_its_folder(
    cli: Cli, nodes: Path, work: Path, sources: list[str]
) -> None:
    for _ in range(2):
        assert cli("cp", *sources, "logs").code == 0
    found = {str(path.relative_to(work)): path.read_text() for path in (work / "logs").rglob("log")}
    assert found == {"logs/cpu-0/log": "of cpu-0", "logs/cpu-1/log": "of cpu-1"}
    assert len(calls(nodes)) == 4


def test_a_node_that_fails_is_named_and_the_others_go_on(cli: Cli, nodes: Path, work: Path) -> None:
    (nodes / "cpu-1/tmp/log").unlink()
    run = cli("cp", "@slurmd:/tmp/log", "logs/")
    assert run.code == 1
    assert "No such file" in run.err
    assert run.err.endswith("cpu-1: exited with 1\n")
    assert [path.name for path in (work / "logs").iterdir()] == ["cpu-0"]


def test_nothing_is_left_where_nothing_came(cli: Cli, nodes: Path, work: Path) -> None:
    assert cli("cp", "@slurmd:/tmp/none", "new/logs").code == 1
    (work / "old").mkdir()
    assert cli("cp", "@slurmd:/tmp/none", "old").code == 1
    assert not (work / "new").exists()
    assert list((work / "old").iterdir()) == []
    assert len(calls(nodes)) == 4


def test_as_json(cli: Cli, nodes: Path) -> None:
    (nodes / "cpu-1/tmp/log").unlink()
    run = cli("cp", "--json", "@slurmd:/tmp/log", "logs/")
    assert run.code == 1
    assert {node: one["exit_code"] for node, one in json.loads(run.out).items()} == {"cpu-0": 0, "cpu-1": 1}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("job.sh", "where shall job.sh go?"),
        ("job.sh here", "no side is on a node"),
        ("cpu-0:/tmp/log cpu-1:/tmp/", "both sides are on nodes"),
        ("job.sh cpu-0:/tmp/log .", "some of the files are on nodes and some are here"),
        ("job.sh cpu-0:/tmp/log cpu-1:", "some of the files are on nodes and some are here"),
        ("job.sh cpu-9:/tmp", "there is no node cpu-9"),
        ("cpu-0:/tmp/log cpu-9:/tmp/log logs", "there is no node cpu-9"),
        ("job.sh missing cpu-0:/tmp", "there is no file missing on this host"),
        ("job.sh src cpu-0:/tmp", "src is a folder"),
        ("cpu-0:/tmp/log none/log", "there is no folder none on this host"),
        ("cpu-0:/tmp/log cpu-0:/tmp/out logs", "there is no folder logs"),
        ("@slurmd:/tmp/log job.sh", "there can be no folder job.sh"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_copied(
    cli: Cli, nodes: Path, work: Path, words: str, why: str
) -> None:
    run = cli("cp", *words.split())
    assert run.code == 2
    assert why in run.err
    assert calls(nodes) == []
    assert sorted(path.name for path in work.iterdir()) == ["job.sh", "src"]


def test_the_help_tells_the_rule(cli: Cli) -> None:
    assert "logs/cpu-0/slurmd.log" in " ".join(cli("cp", "--help").out.split())


def test_what_goes_to_nodes_goes_to_those_that_can_be_reached(cli: Cli, lab: FakeLab, nodes: Path) -> None:
    lab.away = ("cpu-1",)
    run = cli("cp", "job.sh", "@slurmd:/tmp/")
    assert run.code == 255
    assert "labctl start --nodes cpu-1" in run.err
    assert (nodes / "cpu-0/tmp/job.sh").read_text() == "a job"
    assert not (nodes / "cpu-1/tmp/job.sh").exists()


def test_a_node_that_cannot_be_reached_leaves_no_folder(
    cli: Cli, lab: FakeLab, nodes: Path, work: Path
) -> None:
    lab.away = ("cpu-1",)
    assert cli("cp", "@slurmd:/tmp/log", "logs").code == 255
    assert [path.name for path in (work / "logs").iterdir()] == ["cpu-0"]
    assert len(calls(nodes)) == 1
