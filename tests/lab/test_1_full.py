"""The lab `full`: brought up once, then looked at from every side. Files and tests run in their order."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from conftest import Said, User
from ruamel.yaml import YAML

NODES = ["ldap-0", "nfs-0", "slurmctld-0", "login-0", "cpu-0", "cpu-1", "gpu-0"]


def test_up_ends_with_the_table_and_what_to_type_next(cold_up: Said) -> None:
    for words in (*NODES, "cpu-[0-1]", "idle", "verified:", "labctl ssh --name full login-0 -- sinfo"):
        assert words in cold_up.out


def test_up_proved_the_lab(full: User) -> None:
    suite = ET.parse(full.home / ".labctl/full/logs/verify.xml").getroot().find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    assert int(suite.get("tests", 0)) > 100
    assert suite.get("failures") == "0"
    assert suite.get("errors") == "0"


def test_up_says_where_the_time_went(full: User) -> None:
    timings = json.loads((full.home / ".labctl/full/timings.json").read_text())
    assert {"boot", "converge", "verify"} <= {step["step"] for step in timings["steps"]}
    assert all(step["seconds"] >= 0 for step in timings["steps"])
    assert timings["tasks"]


def test_a_second_up_changes_nothing_and_says_so(full: User) -> None:
    said = full.ok("up", "full")
    assert "nothing changed" in said.out
    assert "converge" not in said.err
    assert full.ok("up", "full", "--dry-run").out.strip() == "full is up and as defined: nothing to do"


def test_no_secret_is_in_any_log(full: User) -> None:
    lab = full.home / ".labctl/full"
    secrets = YAML(typ="safe").load(lab / "secrets.yml")
    hidden = [secrets["munge_key"], *secrets["passwords"].values(), *secrets["password_hashes"].values()]
    for pem in (secrets["ca_key"], *secrets["private_keys"].values()):
        hidden += [line for line in pem.splitlines() if "-----" not in line]
    for log in (lab / "logs").iterdir():
        text = log.read_text(errors="replace")
        assert not [secret for secret in hidden if secret in text], f"a secret is in {log}"


def test_secrets_are_for_the_owner_only(full: User) -> None:
    lab = full.home / ".labctl/full"
    for name in ("secrets.yml", "id_ed25519", "inventory/group_vars/all/secrets.yml"):
        assert (lab / name).stat().st_mode & 0o077 == 0, name


def test_status_shows_nodes_partitions_and_no_problem(full: User) -> None:
    now = full.ok("status", "--json").json()
    assert now["state"] == "running"
    assert now["problems"] == []
    assert [node["name"] for node in now["nodes"]] == NODES
    assert {node["slurm"] for node in now["nodes"] if "slurmd" in node["roles"]} == {"idle"}
    assert [(part["name"], part["default"]) for part in now["partitions"]] == [("cpu", True), ("gpu", False)]
    assert now["uptime_seconds"] > 0
    assert {service["name"] for service in now["services"]} >= {
        "slapd",
        "nfs-server",
        "slurmctld",
        "slurmdbd",
        "slurmrestd",
        "docker-registry",
        "jupyterhub",
        "slurmd",
        "munge",
    }
    assert {service["state"] for service in now["services"]} == {"active"}


def test_list_finds_the_lab_and_its_folder(full: User) -> None:
    labs = {lab["name"]: lab for lab in full.ok("list", "--json").json()}
    assert labs["full"]["running"] == labs["full"]["nodes"] == len(NODES)
    assert labs["full"]["directory"] == str(full.home / ".labctl/full")


def test_ssh_hands_output_input_and_exit_codes_through(full: User) -> None:
    assert "cpu*" in full.ok("ssh", "slurmctld-0", "--", "sinfo").out
    assert full("ssh", "cpu-0", "--", "exit 42").code == 42
    assert full.ok("ssh", "cpu-0", "--", "cat", stdin="from here\n").out == "from here\n"
    assert full.ok("ssh", "-l", "nucci", "login-0", "--", "id -un; pwd").out.split() == [
        "nucci",
        "/home/nucci",
    ]
    assert full("ssh", "-l", "nucci", "cpu-0", "--", "true").code == 255  # compute nodes are for jobs


def test_the_ssh_config_works_by_hand(full: User) -> None:
    config = full.home / ".labctl/full/ssh_config"
    done = subprocess.run(
        ["ssh", "-F", str(config), "gpu-0", "hostname"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "gpu-0"


def test_exec_asks_nodes_side_by_side_and_folds_equal_answers(full: User) -> None:
    said = full.ok("exec", "@slurmd", "--", "echo same; hostname >&2")
    assert "cpu-[0-1],gpu-0" in said.out
    assert said.out.count("same") == 1
    worst = full("exec", "cpu-[0-1]", "--", 'test "$(hostname)" = cpu-0 || exit 3')
    assert worst.code == 3


def test_a_node_that_is_not_there_gets_the_nearest_name(full: User) -> None:
    said = full("ssh", "slurmctl-0", "--", "true")
    assert said.code == 2
    assert "did you mean slurmctld-0?" in said.err


def test_a_lab_that_is_worked_on_is_left_alone(full: User) -> None:
    busy = full.start("verify", "--quick")
    try:
        assert busy.stdout is not None
        busy.stdout.readline()  # it has begun, so it has the lock
        said = full("converge")
    finally:
        busy.wait(timeout=300)
    assert said.code == 8
    assert f"labctl verify (process {busy.pid}) is working on the lab full" in said.err


def test_a_machine_that_was_switched_off_is_all_that_up_starts(full: User) -> None:
    full.ok("stop", "full", "--nodes", "cpu-1", "--force")
    partial = full.ok("status", "--json").json()
    assert partial["state"] == "partial"
    assert "cpu-1 is stopped" in partial["problems"]
    assert [action["node"] for action in full.ok("up", "full", "--dry-run", "--json").json()] == ["cpu-1", ""]
    full.ok("up", "full")
    assert full.ok("status", "--json").json()["problems"] == []


def test_start_ends_once_slurm_uses_what_it_has_started(full: User) -> None:
    full.ok("stop", "full", "--nodes", "cpu-1")
    said = full("ssh", "cpu-1", "--", "true")
    assert said.code == 1
    assert "labctl start full --nodes cpu-1" in said.err
    full.ok("start", "full", "--nodes", "cpu-1")
    assert full.ok("status", "--json").json()["problems"] == []


def test_verify_finds_what_is_broken_and_converge_mends_it(full: User) -> None:
    full.ok("ssh", "cpu-0", "--", "systemctl stop munge; chmod 644 /etc/munge/munge.key")
    said = full("verify", "-k", "munge")
    assert said.code == 7
    assert "cpu-0" in said.err
    assert "logs/verify.html" in said.err
    mended = full.ok("converge", "--tags", "munge", "--limit", "@slurmd", "--json").json()
    assert mended["changed"] > 0
    assert all(task.startswith("cpu-0") for task in mended["changed_tasks"])
    full.ok("verify", "-k", "munge")


def test_the_lab_is_plain_ansible_and_vagrant(full: User) -> None:
    lab = full.home / ".labctl/full"
    ansible = Path(subprocess.sys.executable).with_name("ansible")  # type: ignore[attr-defined]
    command = [str(ansible), "-i", str(lab / "inventory"), "ldap-0", "-m", "ansible.builtin.ping"]
    assert "pong" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    states = subprocess.run(["vagrant", "status"], cwd=lab, capture_output=True, text=True, check=True).stdout
    assert states.count("running (libvirt)") == len(NODES)
