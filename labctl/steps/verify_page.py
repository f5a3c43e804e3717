"""The step verify's report for people: what the suite's process told, and what is known of the lab, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

from labctl.render.report import page
from labctl.render.report.page import About, Result, Run
from labctl.steps.verify_report import Ended, promise, topic

#: What versions the suite itself asked for are called in its JUnit file, and here.
PROPERTIES = {"slurm_version": "Slurm"}


@dataclass(frozen=True)
class Page:
    """A report: where it is written, and what it tells beside the results."""

    path: Path
    about: About


def write(report: Page, run: Run, junit: Path) -> None:
    """Write the report of a run; what pytest wrote to `junit` need not be there."""
    about = replace(report.about, versions={**report.about.versions, **_asked(junit)})
    report.path.write_text(page.html(run, about), encoding="utf-8")


def results(ended: Sequence[Ended]) -> tuple[Result, ...]:
    """Each test once: one whose fixture failed after it had passed has failed."""
    last = {one.test: one for one in ended}
    return tuple(
        Result(topic(one.test), promise(one.test, one.node), one.node, one.outcome, one.message)
        for one in last.values()
    )


def _asked(junit: Path) -> dict[str, str]:
    """The versions that the suite came to know."""
    try:
        root = ET.parse(junit).getroot()  # noqa: S314 - pytest's own words
    except (OSError, ET.ParseError):
        return {}
    said = {one.get("name", ""): one.get("value", "") for one in root.iter("property")}
    return {name: said[key] for key, name in PROPERTIES.items() if said.get(key)}
