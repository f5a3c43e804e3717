"""What a run says of itself: ratios to F, goals, and nothing that was not measured."""

from __future__ import annotations

import json

import pytest

from bench.figures import FIGURES, NAMES, Measured, chosen, missed, ratios, report


def measured() -> Measured:
    return Measured(
        "full",
        nodes=6,
        driver="qemu",
        seconds={
            "F": 60.0,
            "first": 150.0,
            "cold": 110.0,
            "warm": 4.8,
            "reset": 5.0,
            "noop_up": 3.0,
            "noop_converge": 19.5,
            "naive": 1200.0,
            "bare_restore": 1.5,
        },
        bare_boots=[61.0, 59.004],
        steps={"cold": [{"step": "boot", "seconds": 61.0}]},
        disk_bytes={"first": 1000, "second": 90},
    )


def test_the_json_has_these_keys_and_can_be_read_back() -> None:
    written = json.loads(json.dumps(report(measured(), {"accelerator": "KVM"})))
    assert written["F_seconds"] == 60.0
    assert written["F_measured"] == [61.0, 59.0]
    assert written["ratios"] == {
        "first": 2.5,
        "cold": 1.8333,
        "warm": 0.08,
        "reset": 0.0833,
        "noop_up": 0.05,
        "noop_converge": 0.325,
        "second_lab_disk": 0.09,
        "naive": 20.0,
    }
    assert written["seconds"]["bare_restore"] == 1.5
    assert written["seconds"]["cold"] == 110.0
    assert written["steps"]["cold"][0]["step"] == "boot"
    assert written["machine"] == {"accelerator": "KVM"}


def test_a_goal_is_reached_at_its_very_value_and_missed_above_it() -> None:
    assert report(measured(), {})["missed"] == ["reset"]
    on_the_line = dict.fromkeys(NAMES, None) | {"cold": 2.0, "noop_up": 1 / 20}
    assert missed(on_the_line) == ()
    assert missed(on_the_line | {"cold": 2.001}) == ("cold",)


def test_the_goals_are_those_that_were_set() -> None:
    goals = {figure.name: figure.goal for figure in FIGURES}
    assert goals == {
        "first": None,
        "cold": 2,
        "warm": 1 / 12,
        "reset": 1 / 15,
        "noop_up": 1 / 20,
        "noop_converge": 1 / 3,
        "second_lab_disk": 1 / 10,
        "naive": None,
    }


def test_what_was_not_measured_is_null_and_misses_no_goal() -> None:
    little = Measured("full", seconds={"F": 60.0, "cold": 100.0})
    written = report(little, {})
    assert set(written["ratios"]) == set(NAMES)
    assert [name for name in NAMES if written["ratios"][name] is not None] == ["cold"]
    assert written["seconds"]["warm"] is None
    assert written["disk_bytes"] is None
    assert written["missed"] == []


def test_without_f_there_is_no_ratio_of_times() -> None:
    found = ratios(Measured("full", seconds={"cold": 100.0}, disk_bytes={"first": 10, "second": 0}))
    assert found["cold"] is None
    assert found["second_lab_disk"] == 0


def test_what_the_others_stand_on_is_in_every_run() -> None:
    assert chosen((), skip_naive=False) == set(NAMES)
    assert chosen((), skip_naive=True) == set(NAMES) - {"naive"}
    assert chosen(("warm",), skip_naive=False) == {"first", "cold", "warm"}


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="no such figure: fast"):
        chosen(("fast",), skip_naive=False)
