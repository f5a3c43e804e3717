"""A port of a node on this host: there once SSH has logged in, gone with the block, and whatever fails is said."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from programs import Programs

from labctl.errors import LabError, UsageError
from labctl.reach import forward
from labctl.reach.forward import HERE, forwarded, free_port

COMMAND = ["ssh", "-F", "/lab/ssh_config", "login-0"]
#: Listens as `ssh -L` does, and answers with where that leads.
LISTENS = f"""\
exec {sys.executable} - "$@" <<'PYTHON'
import socket, sys
_, local, there = sys.argv[sys.argv.index("-L") + 1].split(":", 2)
listener = socket.create_server(("127.0.0.1", int(local)))
while True:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(there.encode())
PYTHON
"""


def answers(port: int) -> str:
    with socket.create_connection((HERE, port), timeout=10) as connection:
        return connection.recv(100).decode()


def listened() -> tuple[socket.socket, int]:
    taken = socket.create_server((HERE, 0))
    return taken, int(taken.getsockname()[1])


def test_the_port_is_there_within_the_block_and_gone_after_it(programs: Programs) -> None:
    programs.add("ssh", LISTENS)
    local = free_port(0, insist=False)
    with forwarded(COMMAND, 8000, local) as connection:
        assert answers(local) == "127.0.0.1:8000"
        assert connection.poll() is None
    assert connection.poll() is not None
    with pytest.raises(OSError, match="refused"):
        answers(local)


def test_ssh_listens_on_this_hosts_loopback_alone_and_shares_no_connection(programs: Programs) -> None:
    programs.add("ssh", LISTENS)
    local = free_port(0, insist=False)
    with forwarded(COMMAND, 8000, local):
        (call,) = programs.calls("ssh")
    assert f"-L 127.0.0.1:{local}:127.0.0.1:8000" in call
    assert "-N -S none -o ExitOnForwardFailure=yes" in call
    assert call.endswith("-F /lab/ssh_config login-0")


def test_what_ssh_says_when_it_fails_is_said(programs: Programs) -> None:
    programs.add("ssh", "echo 'ssh: no route to login-0' >&2; exit 255")
    with (
        pytest.raises(LabError, match="SSH does not get to the node") as failed,
        forwarded(COMMAND, 8000, free_port(0, insist=False)),
    ):
        pytest.fail("there is no connection")
    assert failed.value.why == "ssh: no route to login-0"


def test_ssh_that_never_logs_in_is_given_up_and_ended(
    programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(forward, "_DEADLINE", 1.0)
    programs.add("ssh", f"echo $$ > {tmp_path}/pid; exec sleep 300")
    with (
        pytest.raises(LabError, match="SSH has not logged in within 1 s"),
        forwarded(COMMAND, 8000, free_port(0, insist=False)),
    ):
        pytest.fail("there is no connection")
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_the_connection_ends_with_a_block_that_fails(programs: Programs) -> None:
    programs.add("ssh", LISTENS)
    local = free_port(0, insist=False)
    with pytest.raises(KeyboardInterrupt), forwarded(COMMAND, 8000, local):
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="refused"):
        answers(local)


def test_a_free_port_is_the_wanted_one() -> None:
    wanted = free_port(0, insist=False)
    assert wanted > 0
    assert free_port(wanted, insist=False) == free_port(wanted, insist=True) == wanted


def test_another_port_is_taken_in_the_place_of_one_that_nobody_insists_on() -> None:
    taken, wanted = listened()
    with taken:
        assert free_port(wanted, insist=False) not in (0, wanted)
        with pytest.raises(UsageError, match=f"port {wanted} of this host is taken"):
            free_port(wanted, insist=True)
