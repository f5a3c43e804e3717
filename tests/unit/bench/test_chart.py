"""The chart: well-formed, self-contained, with the values that were measured and no others."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bench.chart import duration, svg
from bench.figures import Measured, report

SVG = "{http://www.w3.org/2000/svg}"
MACHINE = {"cpus": 2, "accelerator": "TCG <soft>", "qemu": "7.2.0", "measured": "2025-01-02 03:04 UTC"}


def latest(**seconds: float) -> dict[str, Any]:
    return report(Measured("full", nodes=6, seconds={"F": 60.0, **seconds}), MACHINE)


def parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 - our own words


def texts(drawn: str) -> list[str]:
    return [node.text or "" for node in parsed(drawn).iter(f"{SVG}text")]


def widths(drawn: str) -> list[float]:
    bars = [node for node in parsed(drawn).iter(f"{SVG}rect") if node.get("class") in ("ours", "theirs")]
    return [float(bar.get("width", "")) for bar in bars]


def test_it_has_the_values_as_multiples_of_f_and_the_machine() -> None:
    drawn = texts(svg(latest(cold=111.0, warm=4.8, reset=3.6, naive=1200.0)))
    for value in ("1.9 F (111 s)", "0.08 F (4.8 s)", "0.06 F (3.6 s)", "20.0 F (20 min)"):
        assert value in drawn
    assert "2 CPUs, TCG <soft>, QEMU 7.2.0, 2025-01-02" in drawn


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    naive, _, cold, *_ = widths(svg(latest(first=150.0, cold=120.0, warm=5.0, reset=4.0, naive=1200.0)))
    assert naive == pytest.approx(10 * cold, rel=0.01)


def test_what_was_not_measured_has_no_bar_and_says_so() -> None:
    drawn = svg(latest(cold=120.0))
    assert texts(drawn).count("not measured") == 4
    assert sorted(widths(drawn))[:4] == [0, 0, 0, 0]


def test_before_the_first_run_it_shows_no_figure() -> None:
    drawn = svg(report(Measured("full", nodes=6), {}))
    assert texts(drawn).count("not measured") == 5
    assert "F was not measured" in texts(drawn)


def test_it_stays_inside_its_frame() -> None:
    root = parsed(svg(latest(cold=120.0, warm=5.0, reset=4.0, naive=5000.0)))
    right = float(root.get("width", ""))
    for bar in root.iter(f"{SVG}rect"):
        assert float(bar.get("x", 0)) + float(bar.get("width", "")) <= right


def test_it_is_readable_in_the_dark_and_loads_nothing() -> None:
    drawn = svg(latest(cold=120.0))
    assert "prefers-color-scheme: dark" in drawn
    assert "href" not in drawn
    assert "url(" not in drawn


def test_seconds_are_said_as_people_say_them() -> None:
    assert [duration(value) for value in (0.44, 9.96, 61.2, 1234.0)] == ["0.4 s", "10 s", "61 s", "21 min"]
