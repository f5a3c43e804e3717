"""The suite reaches nodes as the inventory says, with deadlines, and no secret in a command line."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import clusterfacts
import pytest
from clusterfacts.connection import Connections, NodeError, transport

SSH = "-F /lab/ssh_config -o LogLevel=ERROR"


def connections(**variables: Any) -> Connections:
    inventory = {"_meta": {"hostvars": {"cpu-0": variables}}, "all": {"hosts": ["cpu-0"]}}
    return Connections(Path("hosts.yml"), inventory)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``ssh`` that notes how it was called and ends as the file beside it says."""
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\ncat\n. {tmp_path}/end\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_the_inventory_says_how_to_connect() -> None:
    known = {"ansible_host": "10.1.2.3", "ansible_user": "root", "ansible_ssh_private_key_file": "/lab/key"}
    command = connections(**known, ansible_ssh_common_args=SSH).command("cpu-0", "echo 'a b'; true")
    assert command[:5] == ["ssh", "-F", "/lab/ssh_config", "-o", "LogLevel=ERROR"]
    assert command[-2:] == ["10.1.2.3", "echo 'a b'; true"]
    assert "User=root" in command
    assert command[command.index("-i") + 1] == "/lab/key"


def test_a_shared_connection_is_used_and_none_is_made_elsewhere() -> None:
    """The ControlPath of ssh_config stays what it is: a second one would be a connection more a node."""
    command = connections(ansible_host="10.1.2.3", ansible_ssh_common_args=SSH).command("cpu-0", "true")
    assert not [word for word in command if "controlpath" in word.lower()]


def test_root_rights_come_from_become() -> None:
    command = connections(ansible_user="vagrant", ansible_become=True).command("cpu-0", "id -u")
    assert command[-1] == "sudo /bin/sh -c 'id -u'"


def test_other_connections_are_refused_by_name() -> None:
    with pytest.raises(NodeError, match=r"cpu-0.*docker"):
        connections(ansible_connection="docker").command("cpu-0", "true")


def test_a_login_shares_no_connection_and_offers_one_key() -> None:
    command = connections(ansible_host="10.1.2.3", ansible_user="root", ansible_ssh_common_args=SSH).login(
        "cpu-0", "nucci", Path("/lab/key"), "id"
    )
    assert command[:3] == ["ssh", "-i", "/lab/key"]
    assert {"ControlPath=none", "User=nucci", "BatchMode=yes", "IdentitiesOnly=yes"} <= set(command)
    assert command[-2:] == ["10.1.2.3", "id"]


def test_scripts_run_with_their_input() -> None:
    answer = connections(ansible_connection="local").ask(
        "cpu-0", 'read -r word; echo "got $word"; exit 3', stdin="it\n"
    )
    assert (answer.code, answer.stdout) == (3, "got it\n")


def test_a_script_that_hangs_is_ended_on_the_node() -> None:
    started = time.monotonic()
    with pytest.raises(NodeError, match=r"cpu-0 did not finish in 1 s.*begun"):
        connections(ansible_connection="local").ask("cpu-0", "echo begun; sleep 60", deadline=1)
    assert time.monotonic() - started < 20


def test_what_is_said_in_other_alphabets_is_read() -> None:
    assert connections(ansible_connection="local").ask("cpu-0", r"printf '\303\251\377'").stdout == "é\ufffd"


def test_secrets_stand_in_no_command_line(ssh: Path) -> None:
    (ssh / "end").write_text("exit 0\n")
    answer = connections(ansible_host="10.1.2.3").ask("cpu-0", "cat", stdin="s3cret\n")
    assert answer.stdout == "s3cret\n"
    assert "s3cret" not in (ssh / "calls").read_text()


def nobody(node: str, script: str, *, stdin: str, deadline: float) -> tuple[int, str, str]:
    del script, stdin, deadline
    raise OSError(f"the guest agent of {node} does not answer")


def told(node: str, script: str, *, stdin: str, deadline: float) -> tuple[int, str, str]:
    return 3, f"{node} {script} {stdin}", f"{deadline:.0f}"


def test_nodes_are_asked_in_another_way_where_there_is_one(ssh: Path) -> None:
    inventory = {"_meta": {"hostvars": {"cpu-0": {}}}, "all": {"hosts": ["cpu-0"]}}
    answer = Connections(Path("hosts.yml"), inventory, transport(f"{__name__}:told")).ask(
        "cpu-0", "id", stdin="in", deadline=7
    )
    assert (answer.code, answer.stdout, answer.stderr) == (3, "cpu-0 id in", "7")
    with pytest.raises(NodeError, match="cpu-0 cannot be reached: the guest agent of cpu-0 does not answer"):
        Connections(Path("hosts.yml"), inventory, nobody).ask("cpu-0", "id")
    assert not (ssh / "calls").exists()


def test_a_momentary_failure_to_connect_is_tried_again(ssh: Path) -> None:
    (ssh / "end").write_text(
        f"[ $(wc -l <{ssh}/calls) -gt 1 ] && exit 0\n"
        "echo 'ssh: connect to host 10.1.2.3 port 22: Connection refused' >&2; exit 255\n"
    )
    assert connections(ansible_host="10.1.2.3").ask("cpu-0", "true").code == 0


def test_a_node_that_cannot_be_reached_is_named(ssh: Path) -> None:
    (ssh / "end").write_text("echo 'root@10.1.2.3: Permission denied (publickey).' >&2; exit 255\n")
    with pytest.raises(NodeError, match=r"cpu-0 cannot be reached: .*Permission denied"):
        connections(ansible_host="10.1.2.3").ask("cpu-0", "true")
    assert len((ssh / "calls").read_text().splitlines()) == 1


def test_a_reboot_ends_the_shared_connection(ssh: Path) -> None:
    (ssh / "end").write_text("exit 0\n")
    connections(ansible_host="10.1.2.3", ansible_ssh_common_args=SSH).forget("cpu-0")
    assert (ssh / "calls").read_text().rstrip().endswith("-O exit 10.1.2.3")


def test_scripts_are_posix_shell() -> None:
    scripts = sorted((Path(clusterfacts.__file__).parent / "scripts").glob("*.sh"))
    assert scripts
    for script in scripts:
        subprocess.run(["sh", "-n", str(script)], check=True)
