"""Runs every measurement once, prints the figures beside their goals and writes bench/latest.json.

All are ratios to F, taken in the same run: the time for as many bare machines of the same box, started at once, until
each answers on SSH. So a slow host, or one without KVM, gives the same figures as a fast one.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.bare import boot_bare
from labctl import __version__
from labctl.providers.libvirt import Hypervisor
from labctl.providers.vagrant import version as vagrant_version

PRESET = "full"
LABCTL = str(Path(sys.executable).with_name("labctl"))
HERE = Path(__file__).parent
#: Each figure, what it may be at most as a multiple of F, and what it is.
GOALS = {
    "cold": (4.0, "cold `labctl up full` with a built box, verify included"),
    "noop_up": (1 / 20, "second `up` of a running lab that needs nothing"),
    "noop_converge": (1 / 3, "converge that changes nothing"),
}


def main() -> int:
    """Measure, print, write; the exit code says whether every goal was reached."""
    out = Console()
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as folder:
        home = Path(folder)
        seconds = _measure(home, out)
    f_seconds = seconds["F"]
    ratios = {name: seconds[name] / f_seconds for name in GOALS}
    _show(out, f_seconds, ratios, seconds)
    accelerator = seconds.pop("driver")
    result = {
        "preset": PRESET,
        "F_seconds": round(f_seconds, 2),
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "goals": {name: round(goal, 3) for name, (goal, _) in GOALS.items()},
        "seconds": {
            name: round(value, 2) if isinstance(value, float) else value for name, value in seconds.items()
        },
        "machine": {"accelerator": accelerator, **_machine()},
    }
    (HERE / "latest.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0 if all(ratios[name] <= goal for name, (goal, _) in GOALS.items()) else 1


def _measure(home: Path, out: Console) -> dict[str, Any]:
    seconds: dict[str, Any] = {}

    def timed(name: str, words: Sequence[str]) -> None:
        out.print(f"{name}: labctl {' '.join(words)}")
        seconds[name] = _seconds(lambda: _labctl(home, *words))
        out.print(f"{name}: {seconds[name]:.1f} s")

    try:
        timed("cold", ["up", PRESET])
        seconds["driver"] = json.loads((home / f".labctl/{PRESET}/record.json").read_text())["driver"]
        seconds["cold_steps"] = json.loads((home / f".labctl/{PRESET}/timings.json").read_text())["steps"]
        timed("noop_up", ["up", PRESET])
        timed("noop_converge", ["converge", PRESET])
        out.print("F: as many bare machines of the same box")
        seconds["F"] = boot_bare(home / f".labctl/{PRESET}", PRESET)
        out.print(f"F: {seconds['F']:.1f} s")
    finally:
        _labctl(home, "destroy", PRESET)
    return seconds


def _labctl(home: Path, *words: str) -> None:
    log = HERE.parent / "build" / "bench.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("a") as stream:
        subprocess.run([LABCTL, *words], cwd=home, check=True, stdout=stream, stderr=subprocess.STDOUT)


def _seconds(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _show(out: Console, f_seconds: float, ratios: dict[str, float], seconds: dict[str, Any]) -> None:
    table = Table(title=f"F = {f_seconds:.1f} s")
    for column in ("figure", "seconds", "of F", "goal", "what"):
        table.add_column(column)
    for name, (goal, what) in GOALS.items():
        mark = "green" if ratios[name] <= goal else "red"
        table.add_row(name, f"{seconds[name]:.1f}", f"[{mark}]{ratios[name]:.2f}[/]", f"{goal:.2f}", what)
    out.print(table)


def _machine() -> dict[str, Any]:
    connection = Hypervisor().connection
    return {
        "cpus": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2,
        "linux": platform.release(),
        "python": platform.python_version(),
        "labctl": __version__,
        "qemu": connection.getVersion(),
        "libvirt": connection.getLibVersion(),
        "vagrant": vagrant_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
