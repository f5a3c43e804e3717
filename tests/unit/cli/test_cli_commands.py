"""Each command asks the lab for the right thing and shows what came of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_lab import Action, Cli, FakeLab, Status, Summary, Verified

from labctl.cli import show, show_lab
from labctl.errors import UsageError, VerifyError
from labctl.steps.ansible_events import HostResult
from labctl.steps.converge import ConvergeResult


def test_up_shows_nodes_partitions_where_the_time_went_and_what_to_type(cli: Cli, lab: FakeLab) -> None:
    run = cli("up")
    assert (run.code, lab.calls) == (0, ["define None auto", "up verify=True fresh=False"])
    lines = run.out.splitlines()
    assert lines[0] == "full: running, up 12 m, libvirt (qemu), 10.20.30.0/24"
    assert lines[2].split() == [
        "NODE",
        "ADDRESS",
        "ROLES",
        "CPUS",
        "MEMORY",
        "STATE",
        "SLURM",
        "REASON",
    ]  # no node has a GPU
    assert lines[4].split() == ["cpu-0", "10.20.30.11", "slurmd", "2", "1024", "MiB", "running", "idle"]
    assert "cpu*       cpu-[0-1]  1:00:00" in lines
    assert "problem: cpu-1 has crashed" in lines
    assert [line.split()[0] for line in lines if " s  " in line] == ["network", "boot", "converge"]
    assert "verified: 43 tests passed, 1 skipped in 12.3 s" in lines
    assert "labctl ssh --name full slurmctld-0 -- sinfo" in run.out


def test_up_that_did_nothing_says_so_in_one_line(cli: Cli, lab: FakeLab) -> None:
    lab.changed = False
    assert cli("up").out == "full is up and as defined: nothing changed (90.2 s)\n"


def test_up_hands_its_options_on(cli: Cli, lab: FakeLab) -> None:
    cli("up", "cpu", "--name", "play", "--no-verify", "--set", "vars.a=1", "--set", "vars.b=2")
    assert lab.calls == ["define play auto", "up verify=False fresh=False"]
    assert lab.definition.vars == {"a": 1, "b": 2}
    cli("up", "cpu", "--fresh")
    assert lab.calls[-1] == "up verify=True fresh=True"
    cli("up", "cpu", "--force")
    assert lab.calls[-1] == "up verify=True fresh=False force"


def test_up_goes_on_with_a_lab_by_its_name(cli: Cli, lab: FakeLab, work: Path) -> None:
    files = work / ".labctl" / "play"
    files.mkdir(parents=True)
    (files / "lab.yml").write_text(
        "name: other\nusers: [{name: nucci, uid: 10000}]\npartitions: [{name: all, default: true}]\n"
        "nodes: [{name: one, roles: [ldap_server, nfs_server, slurmctld, slurmd], partitions: [all]}]\n"
    )
    assert cli("up", "--name", "play").code == 0
    assert lab.calls[0] == "define play auto"
    assert lab.definition.name == "other"
    lab.labs = (Summary(name="play", directory=files),)
    lab.calls.clear()
    assert cli("-C", "/", "up", "play").code == 0
    assert lab.calls[0] == "define play auto"
    assert lab.definition.name == "other"


def test_dry_run_prints_the_plan_and_touches_nothing(cli: Cli, lab: FakeLab) -> None:
    lab.actions = (Action("create", "cpu-0", "does not exist"),)
    assert cli("up", "--dry-run").out == (
        "ACTION  NODE   IMPACT  WHY\ncreate  cpu-0  live    does not exist\n"
    )
    assert json.loads(cli("up", "--dry-run", "--json").out) == [
        {"kind": "create", "node": "cpu-0", "reason": "does not exist", "impact": "live"}
    ]
    cli("up", "--dry-run", "--fresh", "--no-verify")
    assert lab.calls[-1] == "plan verify=False fresh=True"
    lab.actions = ()
    assert "nothing to do" in cli("up", "--dry-run").out
    assert "up verify=True fresh=False" not in lab.calls


def test_create_prints_where_the_files_are(cli: Cli) -> None:
    assert cli("create", "cpu").out == "/labs/.labctl/full\n"


def result(changed_tasks: list[str]) -> ConvergeResult:
    return ConvergeResult(len(changed_tasks), 40, 0, {"cpu-0": HostResult(ok=40)}, changed_tasks, {"a": 1.0})


def test_converge_says_what_changed(cli: Cli, lab: FakeLab) -> None:
    lab.result = result([f"cpu-0: slurmd : task {number}" for number in range(22)])
    run = cli("converge", "--tags", "slurmd", "--limit", "cpu-0", "--check")
    assert lab.calls == ["find None", "converge slurmd cpu-0 True"]
    assert run.out.startswith("22 tasks would change something, 18 did not:\n  cpu-0: slurmd : task 0\n")
    assert run.out.endswith("  and 2 more\n")
    lab.result = result([])
    assert cli("converge").out == "nothing changed (40 tasks ok)\n"
    assert json.loads(cli("converge", "--json").out)["hosts"]["cpu-0"]["ok"] == 40


def test_verify(cli: Cli, lab: FakeLab) -> None:
    assert cli("verify", "full", "-k", "ldap", "--quick").out.startswith("verified: 43 tests passed")
    assert lab.calls == ["find full", "verify ldap quick"]
    assert json.loads(cli("verify", "--json").out)["passed"] == 43
    cli("verify", "--disruptive")
    assert lab.calls[-1] == "verify  disruptive"
    assert cli("verify", "--disruptive", "--quick").code == 2


def test_verify_as_json_shows_failures_as_well(cli: Cli, lab: FakeLab) -> None:
    lab.failure = VerifyError("1 test failed")
    lab.failure.result = Verified(failed=1)  # type: ignore[attr-defined]
    run = cli("verify", "--json")
    assert (run.code, json.loads(run.out)["failed"]) == (7, 1)
    assert "error: 1 test failed" in run.err


def test_status(cli: Cli, lab: FakeLab) -> None:
    assert cli("status", "full").out.startswith("full: running")
    assert lab.calls == ["find full"]
    facts = json.loads(cli("status", "--name", "full", "--json").out)
    assert facts["nodes"][2]["reason"] == "Not responding"
    assert facts["directory"] == "/labs/.labctl/full"


def test_status_says_how_services_are_how_to_get_in_and_what_to_do(cli: Cli) -> None:
    lines = cli("status").out.splitlines()
    assert "SERVICE    NODES        STATE   ADDRESS" in lines
    assert "slurmctld  slurmctld-0  active  10.20.30.10:6817" in lines
    assert "munge      cpu-[0-1]    active" in lines
    assert "connect: labctl ssh --name full slurmctld-0" in lines
    assert lines[-2:] == ["problem: cpu-1 has crashed", "try:     labctl up --name full"]


def test_watched_status_is_a_block_each_time_and_ends_well(cli: Cli, lab: FakeLab) -> None:
    lab.most_looks = 3
    run = cli("status", "full", "--watch", "--interval", "0.1")
    assert (run.code, run.err) == (0, "")
    assert run.out.count("full: running") == 3
    assert run.out.count("\n\n20") == 2
    assert lab.calls[-1] == "find full"


def test_watched_status_as_json_is_a_document_a_line(cli: Cli, lab: FakeLab) -> None:
    lab.most_looks = 2
    run = cli("status", "--watch", "--interval", "0.1", "--json")
    assert (run.code, run.err) == (0, "")
    looks = [json.loads(line) for line in run.out.splitlines()]
    assert [look["services"][0]["name"] for look in looks] == ["slurmctld", "slurmctld"]


def test_a_lab_that_goes_ends_the_watch_with_an_error(
    cli: Cli, lab: FakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([lab, lab])

    def find(*_: object, **__: object) -> FakeLab:
        try:
            return next(found)
        except StopIteration:
            raise UsageError("there is no lab 'full'") from None

    monkeypatch.setattr(lab, "find", find)
    run = cli("status", "--watch", "--interval", "0.1")
    assert run.out.count("full: running") == 2
    assert (run.code, "there is no lab 'full'" in run.err) == (2, True)


def test_list(cli: Cli, lab: FakeLab) -> None:
    assert cli("list").out == "no labs; `labctl up` makes one\n"
    assert json.loads(cli("list", "--json").out) == []
    lab.labs = (Summary(), Summary(name="play", directory=Path("/p")))
    assert "full  running  2/3    10.20.30.0/24\n" in cli("list").out
    assert [one["name"] for one in json.loads(cli("list", "--json").out)] == ["full", "play"]
    lab.labs = (Summary(directory=Path("/p/.labctl/full"), files=False),)
    assert cli("list").out.endswith("/p/.labctl/full (gone; labctl destroy full)\n")


def test_start_stop_destroy(cli: Cli, lab: FakeLab) -> None:
    cli("start", "--nodes", "cpu-0")
    cli("stop", "full", "--force")
    assert cli("destroy", "full").out == "full is gone\n"
    assert lab.calls == ["find None", "start cpu-0", "find full", "stop  True", "find full", "destroy"]


def test_suspend_and_resume(cli: Cli, lab: FakeLab) -> None:
    cli("suspend", "--nodes", "gpu-0")
    assert cli("resume", "--nodes", "gpu-0").out == ""
    assert cli("resume").out == "no machine of full is suspended: nothing to do\n"
    assert [call for call in lab.calls if "find" not in call] == ["suspend gpu-0", "resume gpu-0", "resume "]


def test_the_schema_knows_every_key_of_a_definition(cli: Cli) -> None:
    schema = json.loads(cli("schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"name", "box", "nodes", "partitions", "users", "vars"} <= schema["properties"].keys()
    assert all("description" in entry or "$ref" in str(entry) for entry in schema["properties"].values())


def test_presets(cli: Cli) -> None:
    names = [line.split()[0] for line in cli("presets").out.splitlines()]
    assert set(names) >= {"cpu", "gpu", "multi-node", "mini-hpc", "full"}
    assert {one["name"] for one in json.loads(cli("presets", "--json").out)} == set(names[1:])


def check(ok: bool | None) -> SimpleNamespace:
    return SimpleNamespace(name="memory", ok=ok, detail="4 of 24 GiB", fix="buy more", commands=())


@pytest.mark.parametrize(("ok", "word", "code"), [(True, "ok", 0), (None, "note", 0), (False, "failed", 3)])
def test_doctor(cli: Cli, monkeypatch: pytest.MonkeyPatch, ok: bool | None, word: str, code: int) -> None:
    fixed: list[str] = []
    host = SimpleNamespace(checks=lambda *_: (check(ok),), fix=lambda *_: fixed.append("fixed"))
    monkeypatch.setattr("labctl.host", host, raising=False)
    monkeypatch.setitem(sys.modules, "labctl.host", host)
    run = cli("doctor", "--fix")
    assert (run.code, fixed) == (code, ["fixed"] if ok is False else [])
    assert word in run.out
    assert ("buy more" in run.out) is (ok is not True)


def test_box(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SimpleNamespace(
        name="debian-12", version="abc", path=Path("/b"), size_bytes=3 << 20, created=86400.0 * 365
    )
    removed: list[str] = []
    boxes = SimpleNamespace(
        build=lambda *_, **__: made,
        boxes=lambda: (made,),
        remove=lambda name: removed.append(name) or (made,),
    )
    monkeypatch.setattr("labctl.steps.box", boxes, raising=False)
    monkeypatch.setitem(sys.modules, "labctl.steps.box", boxes)
    assert cli("box", "build").out == "debian-12 abc: /b\n"
    assert "debian-12  abc      3 MiB" in cli("box", "list").out
    assert cli("box", "rm", "debian-12").out == "removed debian-12 abc\n"
    assert removed == ["debian-12"]


def test_tables_are_never_wrapped_and_carry_no_colour_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    show.table(("a", "b", "empty"), [("x" * 30, "running", None), ("y", "", "")])
    out = capsys.readouterr().out
    assert out == f"{'A'.ljust(30)}  B\n{'x' * 30}  running\ny\n"


def test_a_waterfall_shows_each_step_after_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    show.waterfall([("boot", 30.0), ("converge", 60.0), ("verify", 10.0)])
    lines = capsys.readouterr().out.splitlines()
    starts = [len(line) - len(line.partition(" s  ")[2].lstrip()) for line in lines[:3]]
    assert starts == sorted(starts)
    assert len(lines[1].strip()) > len(lines[0].strip())
    assert lines[3].split() == ["all", "100.0", "s"]
    show.waterfall([])


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "42 s"), (754, "12 m"), (11100, "3 h 05 m"), (183600, "2 d 03 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert show.duration(seconds) == text


def test_next_commands_name_notebooks_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    node = replace(Status().nodes[0], roles=("slurmctld", "jupyterhub"))
    for nodes, there in ((Status().nodes, False), ((node,), True)):
        show_lab.next_commands(replace(Status(), nodes=nodes))  # type: ignore[arg-type]
        assert ("labctl open --name full jupyter" in capsys.readouterr().out) is there


def test_next_commands_of_a_lab_without_a_controller_name_some_node(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_lab.next_commands(replace(Status(), nodes=Status().nodes[1:]))  # type: ignore[arg-type]
    assert "labctl ssh --name full cpu-0" in capsys.readouterr().out
