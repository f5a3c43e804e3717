"""What tests of snapshots look at."""

from __future__ import annotations

import json
import time
from pathlib import Path

from conftest import User


def snapshots(user: User, lab: str) -> dict[str, dict[str, object]]:
    found = user.ok("snapshot", "list", "--name", lab, "--json").json()
    return {str(one["name"]): one for one in found}


def tell(user: User, lab: str, node: str, *command: str) -> str:
    return user.ok("exec", "--name", lab, node, "--", *command).out


def wait_for(what: str, seconds: float, done: object) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.5)


def steps(user: User, lab: str) -> list[str]:
    timings = json.loads((user.home / f".labctl/{lab}/timings.json").read_text())
    return [step["step"] for step in timings["steps"]]


def drafts(user: User) -> list[Path]:
    return list(Path(user.env["LABCTL_SNAPSHOTS"]).glob("new-*"))
