"""Boot: every machine is awaited by itself, with a deadline that says for whom and what that one said last."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from layouts import lay_out, network
from programs import Programs
from small_lab import small

from labctl.console import Step
from labctl.errors import BootError
from labctl.render.layout import Layout
from labctl.steps import boot
from labctl.steps.awaiting import DEADLINES

NODES = ("head", "cpu-0", "cpu-1")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "logs").mkdir()
    (tmp_path / "ssh_config").write_text("")
    return lay_out(small(), network("10.214.9.0/24"), directory=tmp_path)


class Hosts:
    """Which addresses have an SSH server by now."""

    def __init__(self) -> None:
        self.up: set[str] = set()
        self.asked: list[str] = []

    def listens(self, address: str) -> bool:
        self.asked.append(address)
        return address in self.up


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> Hosts:
    made = Hosts()
    programs.add("ssh")
    monkeypatch.setattr(boot, "_listens", made.listens)
    monkeypatch.setattr(boot, "_POLL", 0.01)
    return made


def addresses(layout: Layout) -> dict[str, str]:
    return {machine.node.name: str(machine.address) for machine in layout.machines}


def test_all_are_awaited_while_they_are_made(layout: Layout, hosts: Hosts, view: Step) -> None:
    def make(answered: threading.Event) -> None:
        for node in NODES:
            assert not answered.is_set()
            hosts.up.add(addresses(layout)[node])
        assert answered.wait(10)

    boot.make_and_await(layout, NODES, make, view)
    assert {node: line.state for node, line in view.nodes.items()} == dict.fromkeys(NODES, "ok")
    assert all("answers after" in line.text for line in view.nodes.values())


def test_a_port_that_is_open_is_not_yet_a_machine_that_answers(
    layout: Layout, hosts: Hosts, view: Step, programs: Programs
) -> None:
    programs.add("ssh", 'test "$(wc -l < "$PROGRAMS/ssh.calls")" -gt 3')
    hosts.up = {addresses(layout)["head"]}
    boot.make_and_await(layout, ["head"], lambda _: None, view)
    calls = programs.calls("ssh")
    assert len(calls) == 4
    assert calls[0] == f"-F {layout.directory}/ssh_config -o BatchMode=yes head true"


def test_a_machine_that_does_not_answer_is_named_with_its_last_words(
    layout: Layout, hosts: Hosts, view: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEADLINES, "qemu", 0.3)
    console = layout.directory / "logs" / "console-cpu-1.log"
    console.write_bytes(
        b"\n".join(b"line %d" % number for number in range(9)) + b"\nKernel panic \xff no root\n"
    )
    hosts.up = {addresses(layout)[node] for node in ("head", "cpu-0")}
    started = time.monotonic()
    with pytest.raises(BootError, match=r"cpu-1 did not answer on SSH within 0 s") as failed:
        boot.make_and_await(layout, NODES, lambda answered: answered.wait(10) and None, view)
    assert time.monotonic() - started < 8
    assert "Kernel panic" in failed.value.why
    assert "line 5" in failed.value.why
    assert "line 4" not in failed.value.why
    assert str(console) in failed.value.hint
    assert "labctl up --name small" in failed.value.hint
    assert view.nodes["cpu-1"].state == "failed"
    assert view.nodes["cpu-0"].state == "ok"


@pytest.mark.parametrize(("said", "words"), [("", "its console is empty"), (None, "")])
def test_a_machine_that_said_nothing_is_no_riddle(
    layout: Layout, hosts: Hosts, view: Step, monkeypatch: pytest.MonkeyPatch, *, said: str | None, words: str
) -> None:  # fmt: skip
    monkeypatch.setitem(DEADLINES, "qemu", 0.05)
    if said is not None:
        (layout.directory / "logs" / "console-head.log").write_text(said)
    with pytest.raises(BootError) as failed:
        boot.make_and_await(layout, ["head"], lambda _: None, view)
    assert failed.value.why == words
    assert hosts.asked


def test_what_went_wrong_in_the_making_comes_first_and_nobody_is_waited_for(
    layout: Layout, hosts: Hosts, view: Step
) -> None:
    def make(_: threading.Event) -> None:
        raise BootError("Vagrant could not make the machines")

    started = time.monotonic()
    with pytest.raises(BootError, match="Vagrant could not"):
        boot.make_and_await(layout, NODES, make, view)
    assert time.monotonic() - started < 5
    assert "failed" not in {line.state for line in view.nodes.values()}
    assert hosts.up == set()


def test_an_interrupt_ends_the_waiting(layout: Layout, hosts: Hosts, view: Step) -> None:
    def make(_: threading.Event) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        boot.make_and_await(layout, NODES, make, view)
    assert time.monotonic() - started < 5
    assert not hosts.up


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize(
    ("banner", "is_ssh"), [(b"SSH-2.0-OpenSSH_9.2\r\n", True), (b"HTTP/1.1 400\r\n", False), (b"", False)]
)
def test_only_an_ssh_server_answers_on_ssh(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch, banner: bytes, *, is_ssh: bool
) -> None:
    real, port = socket.create_connection, server.getsockname()[1]
    monkeypatch.setattr(
        socket, "create_connection", lambda where, timeout: real((where[0], port), timeout=timeout)
    )

    def greet() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(banner)

    greeter = threading.Thread(target=greet)
    greeter.start()
    assert boot._listens("127.0.0.1") is is_ssh
    greeter.join()


def test_an_address_without_anybody_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert boot._listens(str(IPv4Address("127.0.0.1"))) is False


def test_machines_that_ran_before_need_but_answer(
    layout: Layout, view: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def there(address: str) -> bool:
        asked.append(address)
        return asked.count(address) > 2

    monkeypatch.setattr(boot, "_there", there)
    monkeypatch.setattr(boot, "_POLL", 0.01)
    boot.await_network(layout, view)
    assert {asked.count(address) for address in addresses(layout).values()} == {3}
    assert {(line.text, line.state) for line in view.nodes.values()} == {("answers", "ok")}


def test_one_that_does_not_come_back_is_named(
    layout: Layout, view: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = addresses(layout)["cpu-1"]
    monkeypatch.setattr(boot, "_there", lambda other: other != address)
    monkeypatch.setattr(boot, "_PORT_DEADLINE", 0.05)
    with pytest.raises(BootError, match=f"cpu-1 does not answer at {address}"):
        boot.await_network(layout, view)


class Connection:
    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("refusing", "open_", "there", "asked"),
    [
        ({1, 22}, set(), True, [1]),  # as a machine does that nobody protects
        (set(), {22}, True, [1, 22]),  # a packet filter drops the first
        (set(), {1}, True, [1]),
        ({22}, set(), False, [1, 22]),
        (set(), set(), False, [1, 22]),
    ],
)
def test_a_machine_is_there_that_refuses_a_connection(
    refusing: set[int], open_: set[int], there: bool, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports: list[int] = []

    def connect(where: tuple[str, int], timeout: float) -> Connection:
        ports.append(where[1])
        if where[1] in refusing:
            raise ConnectionRefusedError
        if where[1] not in open_:
            raise TimeoutError(timeout)
        return Connection()

    monkeypatch.setattr(socket, "create_connection", connect)
    assert boot._there("192.0.2.1") is there
    assert ports == asked


def test_host_keys_are_forgotten_of_those_made_anew_alone(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    boot.forget_host_keys(tmp_path, ["10.0.0.1"])
    known.write_text("10.0.0.1 ssh-ed25519 A\n10.0.0.11 ssh-ed25519 B\n10.0.0.1 ssh-rsa C\n")
    boot.forget_host_keys(tmp_path, ["10.0.0.1"])
    assert known.read_text() == "10.0.0.11 ssh-ed25519 B\n"


def test_shared_connections_are_ended_one_by_one(programs: Programs, tmp_path: Path) -> None:
    programs.add("ssh", "exit 255")
    boot.disconnect(tmp_path, ["head"])
    assert programs.calls("ssh") == []
    (tmp_path / "ssh_config").write_text("")
    boot.disconnect(tmp_path, ["head", "cpu-0"])
    assert programs.calls("ssh") == [
        f"-F {tmp_path}/ssh_config -O exit head",
        f"-F {tmp_path}/ssh_config -O exit cpu-0",
    ]


def test_a_connection_that_hangs_keeps_nobody_from_going_on(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh_config").write_text("")
    programs.add("ssh", 'case "$*" in *head) exec sleep 60 ;; esac')
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda argv, **options: real(argv, **{**options, "timeout": 0.2}))
    boot.disconnect(tmp_path, ["head", "cpu-0"])
    assert programs.calls("ssh")[-1].endswith("cpu-0")
