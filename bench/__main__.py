"""`python -m bench`: measures, prints the figures beside their goals, writes bench/latest.json and docs/benchmarks.svg.

All times are ratios to F, taken in the same run: the time for as many bare machines of the same box, started at once,
until each answers on SSH. So a slow host, or one without KVM, gives the same figures as a fast one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import chart, machine, run
from bench.figures import FIGURES, NAMES, Measured, chosen, report
from bench.naive import default_log
from bench.programs import interruptible
from labctl.errors import LabError

LATEST = Path(__file__).parent / "latest.json"
CHART = Path(__file__).parent.parent / "docs" / "benchmarks.svg"
_BUSY = 0.25  # of the host's CPUs, before the run


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; the exit code says whether every goal was reached."""
    asked = _parser().parse_args(argv)
    wanted = chosen(asked.only or (), skip_naive=asked.skip_naive)
    out = Console()
    log = default_log()
    before = run.load()
    if before > _BUSY * (os.cpu_count() or 1):
        out.print(f"[yellow]This host is busy (load {before:.1f}): its figures will be worth little.[/]")
    results: list[dict[str, Any]] = []

    def done(found: Measured) -> None:
        results.append(report(found, machine.facts(found.driver, before)))
        _write(results[-1])

    try:
        with interruptible():
            run.require(wanted, asked.preset)
            run.measure(wanted, asked.preset, log, lambda text: out.print(text, highlight=False), done=done)
    except LabError as error:
        out.print(str(error), style="red", highlight=False, markup=False)
        return 1
    except KeyboardInterrupt:
        out.print("interrupted")
        return 130
    finally:
        if results:
            _show(out, results[-1])
    return 1 if results[-1]["missed"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure labctl against bare machines of the same box, and against the way people do it today.",
        epilog="The exit code is 1 if a goal is missed or something could not be measured. "
        "cold and F are measured in every run: the others stand on them.",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=NAMES, help=f"these figures alone: {', '.join(NAMES)}"
    )
    parser.add_argument(
        "--skip-naive",
        action="store_true",
        help="not the way people do it today; it takes long under emulation",
    )
    parser.add_argument("--preset", default=run.PRESET, help="the lab to measure (default: %(default)s)")
    return parser


def _write(result: Mapping[str, Any]) -> None:
    LATEST.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    CHART.write_text(chart.svg(result), encoding="utf-8")


def _show(out: Console, result: Mapping[str, Any]) -> None:
    table = Table(title=f"F = {result['F_seconds']:.1f} s, {result['nodes']} machines")
    for column in ("figure", "seconds", "of F", "goal", "what"):
        table.add_column(column)
    for figure in FIGURES:
        ratio, seconds = result["ratios"][figure.name], result["seconds"].get(figure.name)
        mark = "red" if figure.name in result["missed"] else "green"
        table.add_row(
            figure.name,
            "" if seconds is None else f"{seconds:.1f}",
            "not measured" if ratio is None else f"[{mark}]{ratio:.3f}[/]",
            figure.goal_words,
            figure.what,
        )
    out.print(table)
    restore = result["seconds"]["bare_restore"]
    if restore is not None:
        out.print(f"libvirt's bare restore of all machines: {restore:.1f} s", highlight=False)
    out.print(", ".join(f"{key} {value}" for key, value in result["machine"].items()), highlight=False)


if __name__ == "__main__":
    sys.exit(main())
