"""What a report tells of a lab beside the results is known already: nothing of it is asked of the machines."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from small_lab import small

from labctl import __version__
from labctl.about import about
from labctl.files import LabFiles, Record
from labctl.render.report.page import Step
from labctl.timings import Taken, Timings, read


def a_provider(saver: Any = None) -> Any:
    return SimpleNamespace(saver=saver)


@pytest.fixture
def files(tmp_path: Path) -> LabFiles:
    made = LabFiles(tmp_path / "small")
    made.make()
    made.remember(
        Record(
            addresses={"head": "10.20.30.10"},
            image={"name": "labctl-debian-12-abc"},
            driver="qemu",
            provider="libvirt",
            network={"name": "lc-small", "subnet": "10.20.30.0/24", "gateway": "10.20.30.1"},
        )
    )
    return made


def test_versions_are_told_as_far_as_they_are_known(files: LabFiles) -> None:
    facts = {"qemu": "7002022", "libvirt": "9000000", "pool": "/pool"}
    told = about(small(), files, a_provider(SimpleNamespace(facts=lambda: facts)), Timings()).versions
    assert told["labctl"] == __version__
    assert told["box"] == "labctl-debian-12-abc"
    assert (told["QEMU"], told["libvirt"]) == ("7.2.22", "9.0.0")
    assert told["Ansible"][0].isdigit()
    assert "QEMU" not in about(small(), files, a_provider(), Timings()).versions


def test_the_picture_is_of_the_lab_where_it_is(files: LabFiles) -> None:
    told = about(small(), files, a_provider(), Timings()).topology
    assert (told.lab, told.about, told.network) == ("small", "libvirt (qemu)", "10.20.30.0/24")
    assert told.addresses == {"head": "10.20.30.10"}


def test_the_times_are_those_of_the_up_that_runs_or_else_of_the_last_one(files: LabFiles) -> None:
    last = [{"step": "boot", "seconds": 2.5}, {"step": "verify", "seconds": 1, "failed": True}]
    files.timings.write_text(json.dumps({"steps": last, "tasks": {"munge : Run": 3.5}}))
    told = about(small(), files, a_provider(), Timings())
    assert told.steps == (Step("boot", 2.5), Step("verify", 1.0, failed=True))
    assert told.tasks == {"munge : Run": 3.5}
    assert not told.part_of_up

    running = Timings()
    with running.step("plan"):
        pass
    told = about(small(), files, a_provider(), running)
    assert [step.name for step in told.steps] == ["plan"]
    assert told.part_of_up
    assert told.tasks == {}


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"steps": [{"step": "x"}], "tasks": {}}', "\x00"])
def test_times_that_cannot_be_read_are_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "timings.json"
    if text is not None:
        path.write_text(text)
    assert read(path) == Taken()
