"""`labctl open` brings a page of a lab to this host, says where it is, and ends with the connection."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from fake_lab import Cli, FakeLab
from render_layouts import a_layout

from labctl.definition.loading import load
from labctl.reach import forward
from labctl.render.layout import Layout


def layout(preset: str, *overrides: str) -> Layout:
    return a_layout(load(preset, overrides=overrides))


class Forwards:
    """What was forwarded, in the place of SSH; the connection of each is lost at once, or interrupted."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], int, int]] = []
        self.interrupted = False

    @contextmanager
    def __call__(self, ssh: Sequence[str], port: int, local: int) -> Iterator[SimpleNamespace]:
        self.asked.append((list(ssh), port, local))
        yield SimpleNamespace(wait=self.wait)

    def wait(self) -> int:
        if self.interrupted:
            raise KeyboardInterrupt
        return 255


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> Forwards:
    made = Forwards()
    monkeypatch.setattr(forward, "forwarded", made)
    return made


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was opened with, on a host with a screen."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    return opened


@pytest.fixture
def full(lab: FakeLab) -> FakeLab:
    """A lab with JupyterHub, whose page has a port that this host has as well."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    of = layout("full", f"vars.jupyterhub_port={port}")
    lab.definition = of.definition
    lab.layout = lambda: of  # type: ignore[attr-defined]
    return lab


def port(lab: FakeLab) -> int:
    return int(lab.definition.vars["jupyterhub_port"])


@pytest.mark.usefixtures("forwards")
def test_a_lab_without_is_told_how_to_get_it(cli: Cli, lab: FakeLab, browser: list[str]) -> None:
    without = layout("multi-node")
    lab.layout = lambda: without  # type: ignore[attr-defined]
    run = cli("open", "jupyter")
    assert run.code == 2
    assert "full has no JupyterHub" in run.err
    assert "labctl up --name full --set services.jupyter=true" in run.err
    assert browser == []


def test_the_page_is_at_its_own_port_and_its_words_say_whom_to_be(
    cli: Cli, full: FakeLab, forwards: Forwards, browser: list[str]
) -> None:
    run = cli("open", "jupyter")
    (command, there, here) = forwards.asked[0]
    assert "NODE=login-0" in command
    assert there == here == port(full)
    url = f"http://127.0.0.1:{here}"
    assert run.out.splitlines() == [
        f"{url}  (Ctrl-C to end)",
        "log in as nucci; passwords are in /labs/.labctl/full/secrets.yml",
    ]
    assert browser == [url]


def test_programs_are_told_the_same(cli: Cli, full: FakeLab, forwards: Forwards, browser: list[str]) -> None:
    run = cli("open", "jupyter", "--json", "--no-browser")
    assert json.loads(run.out) == {
        "url": f"http://127.0.0.1:{port(full)}",
        "node": "login-0",
        "user": "nucci",
        "secrets": "/labs/.labctl/full/secrets.yml",
    }
    assert len(forwards.asked) == 1
    assert browser == []


def test_another_port_of_this_host_may_be_named(
    cli: Cli, full: FakeLab, forwards: Forwards, browser: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        run = cli("open", "jupyter", "--port", str(number))
    assert run.code == 2
    assert f"port {number} of this host is taken" in run.err
    assert forwards.asked == []
    cli("open", "jupyter", "--port", str(number))
    assert [asked[1:] for asked in forwards.asked] == [(port(full), number)]
    assert browser == [f"http://127.0.0.1:{number}"]


@pytest.mark.usefixtures("full", "forwards")
def test_no_browser_is_opened_where_there_is_no_screen(
    cli: Cli, browser: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert "http://127.0.0.1:" in cli("open", "jupyter").out
    assert browser == []


@pytest.mark.usefixtures("browser")
def test_a_node_that_does_not_run_is_said_as_by_other_commands(
    cli: Cli, full: FakeLab, forwards: Forwards
) -> None:
    full.away = ("login-0",)
    run = cli("open", "jupyter")
    assert run.code == 1
    assert all(
        part in run.err for part in ("login-0 cannot be reached", "stopped", "labctl start --nodes login-0")
    )
    assert forwards.asked == []


@pytest.mark.usefixtures("full", "browser")
def test_the_end_of_the_connection_is_a_failure_and_that_by_the_user_is_said_so(
    cli: Cli, forwards: Forwards
) -> None:
    lost = cli("open", "jupyter")
    assert (lost.code, "the connection to login-0 has ended" in lost.err) == (1, True)
    forwards.interrupted = True
    ended = cli("open", "jupyter")
    assert ended.code == 130
    assert "has ended" not in ended.err


def test_a_page_that_there_is_not_is_refused_with_those_there_are(cli: Cli) -> None:
    run = cli("open", "grafana")
    assert run.code == 2
    assert "jupyter" in run.err
