"""Colours and live trees are for terminals, colours only for those who want them; what a program reads is plain."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

# Progress, a table and an error.
SCRIPT = """
from contextlib import suppress
from labctl import console
from labctl.cli import main
with console.reporter().step("boot") as view:
    view.node("cpu-0", "answers", "changed")
for words in (["presets"], ["up", "fulll"]):
    with suppress(SystemExit):
        main(words)
"""
TOLD = ("boot", "multi-node", "error: there is no preset", "did you mean full?")
# A lab that is watched until the third look, when somebody types Ctrl-C.
WATCH = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from fake_lab import FakeLab
from labctl.cli import main, state
lab = FakeLab(most_looks=2)
state.known_type = lambda: lab
try:
    main(["status", "--watch", "--interval", "0.1"])
except SystemExit as ended:
    print("ended with", ended.code)
"""
ESCAPE = "\x1b"
#: SGR parameters of colours: 30 to 49 and 90 to 107 (ECMA-48 and the bright ones that terminals added).
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])(?:;\d+)*m")


def environment(**more: str) -> dict[str, str]:
    deciding = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    return {name: value for name, value in os.environ.items() if name not in deciding} | {
        "TERM": "xterm",
        "PYTHONUTF8": "1",
        **more,
    }


def on_terminal(script: str = SCRIPT, **more: str) -> str:
    """All that a terminal is shown."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(**more)
    ):
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # Linux says EIO when the last one has closed the other end
            while part := os.read(ours, 1 << 16):
                shown += part
    os.close(ours)
    return shown.decode()


def test_a_pipe_gets_plain_lines() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment()
    )
    said = run.stdout + run.stderr
    assert all(words in said for words in TOLD)
    assert "cpu-0: changed: answers" in said
    assert ESCAPE not in said


def test_a_terminal_gets_a_tree_and_colours() -> None:
    shown = on_terminal()
    assert COLOUR.search(shown.partition("multi-node")[0])
    assert COLOUR.search(shown.partition("multi-node")[2])
    without = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert all(words in without for words in (*TOLD, "✓ boot"))


def test_colours_are_for_those_who_want_them() -> None:
    shown = on_terminal(NO_COLOR="1")
    assert "did you mean full?" in shown
    assert not COLOUR.search(shown)


def test_a_terminal_that_can_do_nothing_gets_plain_lines() -> None:
    shown = on_terminal(TERM="dumb")
    assert all(words in shown for words in (*TOLD, "boot: starts"))
    assert ESCAPE not in shown


def test_a_watched_lab_is_one_picture_that_changes() -> None:
    shown = on_terminal(WATCH)
    again = shown.index("\x1b[1A")  # the cursor goes up: the first picture makes room
    assert shown.index("full: running") < again < shown.rindex("full: running")
    assert "ended with 0" in shown
    assert shown.rindex("try:") > shown.rindex("\x1b[1A")
    assert not COLOUR.search(on_terminal(WATCH, NO_COLOR="1"))
