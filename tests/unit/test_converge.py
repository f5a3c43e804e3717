"""Converge runs real playbooks through ansible-runner, on this machine instead of a lab's nodes."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from labctl.console import BaseReporter, Step
from labctl.errors import ConvergeError
from labctl.steps import ansible_settings
from labctl.steps import converge as module
from labctl.steps.ansible_events import Collector, message
from labctl.steps.ansible_settings import environment
from labctl.steps.converge import ConvergeResult, converge

# Two interpreters, because Mitogen runs the tasks of one interpreter on one machine one after the other.
INVENTORY = """
all:
  vars: {ansible_connection: local, mitogen_task_isolation: none}
  hosts:
    cpu-0: {ansible_python_interpreter: /usr/bin/python3}
    cpu-1: {ansible_python_interpreter: /usr/bin/env python3}
"""

WELL = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.command: "true"
      changed_when: false
      tags: look
    - name: Write
      ansible.builtin.copy: {content: "x", dest: "{{ playbook_dir }}/{{ inventory_hostname }}", mode: "0600"}
    - name: Hide
      ansible.builtin.command: echo hunter2-{{ inventory_hostname }}
      changed_when: true
      no_log: true
    - name: Fall
      block:
        - name: Stumble
          ansible.builtin.command: "false"
          changed_when: false
      rescue:
        - name: Get up
          ansible.builtin.command: "true"
          changed_when: false
    - name: Shrug
      ansible.builtin.command: "false"
      changed_when: false
      ignore_errors: true
"""

BADLY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Break
      ansible.builtin.shell: echo to no avail >&2; exit 3
      changed_when: false
      when: inventory_hostname == "cpu-0"
    - name: Wait for cpu-0
      ansible.builtin.wait_for: {path: /nonexistent, timeout: 120}
"""


TAGGED = """
- hosts: cpu-0
  gather_facts: false
  tasks:
    - name: Install
      ansible.builtin.command: "true"
      tags: [install]
    - name: Configure
      ansible.builtin.command: "true"
"""


class Recorder(BaseReporter):
    """Remembers what every node said; may act on it."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str, str]] = []
        self.interrupt_at = ""

    def on_node(self, step: Step, node: str) -> None:
        line = step.nodes[node]
        self.said.append((node, line.text, line.state))
        if self.interrupt_at and line.text == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def run(tmp_path: Path, recorder: Recorder) -> Any:
    def run(*playbooks: str, inventory: str = INVENTORY, **options: Any) -> ConvergeResult:
        (tmp_path / "lab").mkdir(exist_ok=True)
        (tmp_path / "hosts.yml").write_text(inventory)
        paths = [tmp_path / f"play{number or ''}.yml" for number in range(len(playbooks))]
        for path, playbook in zip(paths, playbooks, strict=True):
            path.write_text(playbook)
        with recorder.step("converge") as view:
            return converge(
                tmp_path / "lab",
                inventory=tmp_path / "hosts.yml",
                playbooks=paths,
                view=view,
                log=tmp_path / "logs" / "converge.log",
                **options,
            )

    return run


def running(words: str) -> list[str]:
    """The command lines on this machine that contain the words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            found += [line] if words in line else []
    return found


def test_what_is_left_out_of_the_first_playbook_is_done_in_those_of_the_user(run: Any) -> None:
    assert run(TAGGED, TAGGED).ok == 4
    assert run(TAGGED, TAGGED, skip="install").ok == 3


def test_a_run_that_goes_well(run: Any, recorder: Recorder, tmp_path: Path) -> None:
    result = run(WELL)

    assert (result.changed, result.failed) == (4, 0)
    assert sorted(result.changed_tasks) == ["cpu-0: Hide", "cpu-0: Write", "cpu-1: Hide", "cpu-1: Write"]
    assert result.hosts["cpu-0"].changed == 2
    assert {"Look", "Write", "Hide", "Get up"} <= set(result.task_seconds)
    assert list(result.task_seconds.values()) == sorted(result.task_seconds.values(), reverse=True)

    assert ("cpu-1", "Write", "running") in recorder.said
    assert [line for line in recorder.said if line[0] == "cpu-1"][-1] == ("cpu-1", "5 tasks, 2 changed", "ok")
    assert "failed" not in {state for _, _, state in recorder.said}

    log = tmp_path / "logs" / "converge.log"
    assert "PLAY RECAP" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "hunter2" not in log.read_text()
    assert list((tmp_path / "lab").iterdir()) == []

    again = run(WELL, tags="look", limit="cpu-0")
    assert (again.changed, again.changed_tasks, list(again.hosts)) == (0, [], ["cpu-0"])


def test_check_mode_changes_nothing_and_says_what_would(run: Any, tmp_path: Path) -> None:
    result = run(WELL, check=True)
    assert "cpu-0: Write" in result.changed_tasks
    assert not (tmp_path / "cpu-0").exists()


def test_a_failure_names_host_task_message_and_log_and_ends_the_wait_of_others(
    run: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_AFTER_FAILURE", 1.0)
    start = time.monotonic()
    with pytest.raises(ConvergeError) as caught:
        run(BADLY)
    assert time.monotonic() - start < 60
    assert caught.value.what == "cpu-0: Break failed"
    assert "non-zero return code\nto no avail" in caught.value.why
    assert f"{tmp_path}/play.yml:5" in caught.value.why
    assert str(tmp_path / "logs" / "converge.log") in caught.value.hint
    assert ("cpu-0", "Break: non-zero return code", "failed") in recorder.said
    assert running(str(tmp_path)) == []


def test_a_host_that_does_not_answer(run: Any) -> None:
    away = "all: {hosts: {gone-0: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: root}}}"
    with pytest.raises(ConvergeError) as caught:
        run(WELL, inventory=away)
    assert caught.value.what.startswith("gone-0: Look")
    assert caught.value.why


def test_playbooks_are_run_in_turn_and_their_sums_are_one(
    run: Any, recorder: Recorder, tmp_path: Path
) -> None:
    result = run(WELL, WELL)
    assert (result.changed, result.hosts["cpu-1"].ok) == (6, 10)  # the file is written once
    assert [line for line in recorder.said if line[0] == "cpu-1"][-1] == (
        "cpu-1",
        "10 tasks, 3 changed",
        "ok",
    )
    assert (tmp_path / "logs/converge.log").read_text().count("PLAY RECAP") == 2


def test_after_a_playbook_that_fails_no_other_is_run(run: Any, tmp_path: Path) -> None:
    with pytest.raises(ConvergeError, match=r"no\.yml"):
        run(WELL, "- hosts: all\n  tasks: [{import_tasks: no.yml}]\n", WELL)
    assert (tmp_path / "logs/converge.log").read_text().count("PLAY RECAP") == 1


def test_a_playbook_that_ansible_refuses(run: Any) -> None:
    with pytest.raises(ConvergeError) as caught:
        run("- hosts: all\n  tusks: []\n")
    assert caught.value.what == "Ansible could not run play.yml"
    assert "tusks" in caught.value.why


def test_ctrl_c_ends_ansible_and_everything_it_started(run: Any, recorder: Recorder, tmp_path: Path) -> None:
    nap = f"sleep 6{os.getpid()}"
    recorder.interrupt_at = "Nap"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(f"[{{hosts: all, gather_facts: false, tasks: [{{name: Nap, command: {nap}}}]}}]")
    assert running(nap) == []
    assert running(str(tmp_path)) == []
    assert list((tmp_path / "lab").iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is before


def test_without_mitogen_the_free_strategy_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANSIBLE_STRATEGY", raising=False)
    assert environment(tmp_path, tmp_path)["ANSIBLE_STRATEGY"] == "mitogen_free"
    monkeypatch.setattr(ansible_settings.importlib.util, "find_spec", lambda _: None)
    assert environment(tmp_path, tmp_path)["ANSIBLE_STRATEGY"] == "free"
    assert ansible_settings.interpreter(tmp_path, "/usr/lib/warm") == []
    monkeypatch.setenv("ANSIBLE_STRATEGY", "linear")
    assert environment(tmp_path, tmp_path)["ANSIBLE_STRATEGY"] == "linear"


def test_the_interpreter_is_stronger_than_the_inventorys_own_and_weaker_than_group_vars(
    run: Any, tmp_path: Path
) -> None:
    inventory = """
all:
  vars: {ansible_connection: local, mitogen_task_isolation: none, ansible_python_interpreter: /nowhere}
  hosts: {cpu-0: {}}
"""
    told = "{content: '{{ ansible_python_interpreter }}', dest: '{{ playbook_dir }}/told', mode: '0600'}"
    playbook = f"[{{hosts: all, gather_facts: false, tasks: [{{name: Tell, copy: {told}}}]}}]"
    run(playbook, inventory=inventory, python=f"{sys.executable} -E")
    assert (tmp_path / "told").read_text() == f"{sys.executable} -E"
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text(f"ansible_python_interpreter: {sys.executable}")
    run(playbook, inventory=inventory, python="/nowhere")
    assert (tmp_path / "told").read_text() == sys.executable


def test_ansible_is_found_when_labctl_was_started_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    first = environment(tmp_path, tmp_path)["PATH"].split(":")[0]
    assert (Path(first) / "ansible-playbook").exists()


def test_a_retry_is_shown(recorder: Recorder) -> None:
    with recorder.step("converge") as view:
        Collector(view).take(
            {
                "event": "runner_retry",
                "event_data": {
                    "host": "cpu-0",
                    "role": "slurmd",
                    "task": "Wait",
                    "res": {"attempts": 3, "retries": 10},
                },
            }
        )
    assert recorder.said == [("cpu-0", "slurmd : Wait (try 3 of 10)", "running")]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"msg": "no", "stderr": "why"}, "no\nwhy"),
        ({"msg": "same", "stderr": "same"}, "same"),
        ({"censored": "..."}, "hidden, because the task handles secrets (no_log)"),
        (
            {
                "msg": "One or more items failed",
                "results": [{"item": "b", "failed": True, "msg": "no"}, {"item": "a"}],
            },
            "b: no",
        ),
        ({}, ""),
    ],
)
def test_messages_of_failed_tasks(result: dict[str, Any], text: str) -> None:
    assert message(result) == text
