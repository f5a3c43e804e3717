"""Runs the real command line in this process, on a lab that answers at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_lab import Cli, FakeLab, Run

from labctl.cli import main
from labctl.cli import state as module


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    fake = FakeLab()
    monkeypatch.setattr(module, "lab_type", lambda: fake)
    monkeypatch.setattr(module, "known_type", lambda: fake)
    monkeypatch.setattr("labctl.cli.snapshot.lab_type", lambda: fake)
    monkeypatch.setattr("labctl.cli.list.known_type", lambda: fake)
    return fake


@pytest.fixture
def cli(
    lab: FakeLab,  # noqa: ARG001 - no test may meet a real lab
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cli]:
    for option in ("debug", "quiet", "lab", "directory"):
        monkeypatch.setattr(module.state, option, module.State().__dict__[option])
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> Run:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Run(ended.value.code, out, err)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
