"""Lines of journals and of log files, read into one form."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from labctl.reach.log_lines import Entry, Twins, entries, with_file

SCRIPT = Path(__file__).parents[2] / "labctl/reach/log_files.sh"


def microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1e6)


def journal(text: Any, time: str = "2026-01-31T12:00:00Z", **fields: Any) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": str(microseconds(time)), "MESSAGE": text, **fields})


def one(*lines: str) -> Entry:
    (entry,) = entries("cpu-0", lines)
    return entry


def test_an_entry_of_the_journal() -> None:
    line = journal("Started", SYSLOG_IDENTIFIER="slurmd", _PID="312", _SYSTEMD_UNIT="slurmd.service")
    entry = one(line)
    assert (entry.node, entry.time) == ("cpu-0", microseconds("2026-01-31T12:00:00Z"))
    assert (entry.speaker, entry.service, entry.text, entry.file) == ("slurmd[312]", "slurmd", "Started", "")
    assert entry.fields == {"node": "cpu-0", **json.loads(line)}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("slurmd: hello", "hello"),
        ("one\ntwo\n", "one\ntwo"),
        ([111, 255, 107], "o\ufffdk"),
        (["first", "second"], "first"),
        (None, ""),
    ],
    ids=["says who it is", "two lines", "no UTF-8", "twice", "nothing"],
)
def test_whatever_the_journal_makes_of_a_message(message: Any, text: str) -> None:
    assert one(journal(message, SYSLOG_IDENTIFIER="slurmd")).text == text


def test_speakers_without_a_name_or_a_number() -> None:
    assert one(journal("x", _COMM="sh", _PID="1")).speaker == "sh[1]"
    assert one(journal("x", SYSLOG_IDENTIFIER="kernel")).speaker == "kernel"


def test_a_line_that_was_cut_off_is_left_out() -> None:
    whole = journal("x")
    assert [entry.text for entry in entries("cpu-0", [whole, whole[:30], "{}"])] == ["x"]


FILE = [
    "=> file +0100 slurmd /var/log/slurmd.log",
    "=> file +0100 munge /var/log/munged.log",
    "==> /var/log/slurmd.log <==",
    "[2026-01-31T12:00:00.250] [6.batch] done with job",
    "{and goes on}",
    "",
    "==> /var/log/munged.log <==",
    "2026-01-31 12:00:01 +0000 Info:      Created socket",
]


def test_log_files_have_times_of_their_own_kinds() -> None:
    read = list(entries("cpu-0", FILE))
    at_noon = microseconds("2026-01-31T12:00:00+01:00")
    assert [(entry.speaker, entry.time - at_noon, entry.text) for entry in read] == [
        ("slurmd", 250_000, "[6.batch] done with job"),
        ("slurmd", 250_000, "{and goes on}"),
        ("munge", 3_601_000_000, "Info:      Created socket"),
    ]
    assert read[0].fields == {
        "node": "cpu-0",
        "__REALTIME_TIMESTAMP": str(at_noon + 250_000),
        "_SYSTEMD_UNIT": "slurmd.service",
        "SYSLOG_IDENTIFIER": "slurmd",
        "LOG_FILE": "/var/log/slurmd.log",
        "MESSAGE": "[6.batch] done with job",
    }


def test_log_files_after_a_journal_and_since_a_time() -> None:
    since = microseconds("2026-01-31T11:30:00Z") / 1e6
    read = list(entries("cpu-0", [journal("x"), f"=> since {since}", *FILE]))
    assert [entry.text for entry in read] == ["x", "Info:      Created socket"]


def entry(text: str, seconds: float, *, file: str = "", service: str = "slurmd") -> Entry:
    return Entry("cpu-0", round(seconds * 1e6), service, service, text, file, {})


def test_what_the_journal_and_a_file_both_say_is_said_once() -> None:
    twins = Twins()
    said = [
        entry("a", 1.0),
        entry("a", 1.2),
        entry("a", 1.01, file="f"),
        entry("b", 1.3, file="f"),
        entry("a", 1.21, file="f"),
        entry("b", 2.0),
    ]
    assert [one for one in said if not twins.knows(one)] == [said[0], said[1], said[3]]


@pytest.mark.parametrize(
    "second",
    [
        entry("a", 9.0, file="f"),
        entry("b", 1.0, file="f"),
        entry("a", 1.0, file="f", service="slurmctld"),
        entry("a", 1.0),
    ],
    ids=["later", "something else", "another service", "the same source"],
)
def test_what_only_looks_alike_is_said_twice(second: Entry) -> None:
    twins = Twins()
    assert not twins.knows(entry("a", 1.0))
    assert not twins.knows(second)


@pytest.mark.parametrize(
    ("units", "names"),
    [
        ([], ("slurmctld", "slurmd", "slurmdbd", "munge")),
        (["slurmd"], ("slurmd",)),
        (["munge.service", "sssd"], ("munge",)),
        (["slurm*"], ("slurmctld", "slurmd", "slurmdbd")),
        (["sshd"], ()),
    ],
)
def test_which_services_write_files(units: list[str], names: tuple[str, ...]) -> None:
    assert with_file(units) == names


@pytest.fixture
def configured(tmp_path: Path) -> str:
    """The script for a node whose files are in a folder of their own."""
    slurm = tmp_path / "etc/slurm"
    slurm.mkdir(parents=True)
    log = tmp_path / "var/log"
    log.mkdir(parents=True)
    (slurm / "slurm.conf").write_text(
        f"# SlurmdLogFile=/nowhere\nSlurmctldLogFile={log}/slurmctld.log\nslurmdlogfile = {log}/%n.log # its own\n"
    )
    (slurm / "slurmdbd.conf").write_text(f"LogFile={log}/slurmdbd.log\n")
    host = subprocess.check_output(["uname", "-n"], text=True).split(".")[0].strip()
    for name in (host, "slurmdbd", "munged"):
        (log / f"{name}.log").write_text(f"[2026-01-31T12:00:00] {name} 1\n[2026-01-31T12:00:01] {name} 2\n")
    text = SCRIPT.read_text().replace("/etc/slurm", str(slurm))
    return text.replace("/var/log/munge", str(log))


def printed(script: str, *arguments: str) -> str:
    words = ["sh", "-c", script, "log_files.sh", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout


def test_log_files_are_where_slurm_says(configured: str) -> None:
    said = printed(configured, "+1", "", "slurmctld slurmd slurmdbd")
    read = list(entries("cpu-0", said.splitlines()))
    assert [entry.service for entry in read] == ["slurmd", "slurmd", "slurmdbd", "slurmdbd"]  # no controller
    assert read[2].text == "slurmdbd 1"


def test_the_last_lines_of_the_files_that_are_asked_for(configured: str) -> None:
    said = printed(configured, "1", "", "munge")
    assert [entry.text for entry in entries("cpu-0", said.splitlines())] == ["munged 2"]
    assert "slurmdbd" not in said


def test_a_node_without_log_files_says_nothing(configured: str, tmp_path: Path) -> None:
    for log in (tmp_path / "var/log").iterdir():
        log.unlink()
    assert printed(configured, "+1", "", "slurmctld slurmd slurmdbd munge") == ""
