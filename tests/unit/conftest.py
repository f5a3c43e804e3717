"""For all unit tests."""

from __future__ import annotations

import signal

import pytest

# A test run in the background of a script is told to ignore SIGINT, and so would be all that it starts: tests of
# what an interrupt does would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _folders_of_commands_are_the_tests_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labs of tests bear the same names, and tests run side by side."""
    monkeypatch.setattr("labctl.scratch.place", lambda: tmp_path_factory.getbasetemp() / "labctl")
