"""What Slurm says of nodes that others wait for: the backfill scheduler's plans are no state of theirs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from clusterfacts.answers import Sections
from clusterfacts.questions import script

SINFO = """\
cpu-0 mixed- cpu*
cpu-0 mixed- long
cpu-1 planned cpu*
cpu-2 idle cpu*
planned-3 allocated- cpu*
cpu-4 drained cpu*
"""
SQUEUE = "7 nucci cpu-0\n"


def test_what_is_planned_for_a_node_is_left_out(tmp_path: Path) -> None:
    for name, said in {"sinfo": SINFO, "squeue": SQUEUE}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nprintf '%s' '{said}'\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh"],
        input=script("cluster", level="quick", settle=0),
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    seen = Sections.parse(done.stdout)
    assert seen.lines("nodes") == [
        "cpu-0 mixed cpu*",
        "cpu-0 mixed long",
        "cpu-1 idle cpu*",
        "cpu-2 idle cpu*",
        "planned-3 allocated cpu*",
        "cpu-4 drained cpu*",
    ]
    assert seen["busy"].strip() == SQUEUE.strip()
