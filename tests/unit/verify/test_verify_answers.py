"""The suite reads what nodes print: sections, and the formats of Slurm's and Linux' commands."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections, files, indices, mounts, records, scheme, settings, starts_at_boot


def test_sections_are_split_at_their_marks() -> None:
    seen = Sections.parse("motd\n@@@ boot\nabc\n\n@@@ empty\n@@@ two lines\n a\nb\n")
    assert seen == {"boot": "abc", "empty": "", "two lines": " a\nb"}


def test_a_section_that_is_missing_is_empty() -> None:
    seen = Sections.parse("")
    assert seen["ping"] == ""
    assert seen.lines("ping") == []
    assert seen.table("ping") == {}


def test_tables_are_keyed_by_the_first_column() -> None:
    seen = Sections(
        passwd="nucci:x:10000:10000::/home/nucci:/bin/bash", nodes="cpu-0 idle cpu*\n\ncpu-1 down cpu*"
    )
    assert seen.table("passwd", ":")["nucci"][1] == "10000"
    assert seen.table("nodes") == {"cpu-0": ["idle", "cpu*"], "cpu-1": ["down", "cpu*"]}


def test_sections_of_a_kind() -> None:
    assert Sections({"mount /home": "x", "mount /data": "y", "reach": "z"}).starting("mount ") == {
        "/home": "x",
        "/data": "y",
    }


def test_records_of_scontrol() -> None:
    line = (
        "JobId=7 JobName=research UserId=nucci(10000) Reason=None Command=/home/a b/research.sh "
        "TRES=cpu=1,mem=500M,node=1 Comment="
    )
    (seen,) = records([line, "", "no such thing"])
    assert seen["JobId"] == "7"
    assert seen["Command"] == "/home/a b/research.sh"
    assert seen["TRES"] == "cpu=1,mem=500M,node=1"
    assert seen["Comment"] == ""


def test_settings_of_scontrol() -> None:
    seen = settings(["Configuration data as of 2024", "ProctrackType           = proctrack/cgroup", ""])
    assert seen == {"ProctrackType": "proctrack/cgroup"}


def test_the_last_mount_on_a_point_counts() -> None:
    seen = mounts(
        "/dev/vda / ext4 rw 0 0\nnfs-0:/home /home nfs4 rw,vers=4.2,soft 0 0\n/dev/vdb /home ext4 ro 0 0\n"
    )
    assert seen["/home"] == ("/dev/vdb", "ext4", frozenset({"ro"}))
    assert seen["/"][1] == "ext4"


@pytest.mark.parametrize(
    ("text", "numbers"), [("", set()), ("3", {3}), ("0,2-4", {0, 2, 3, 4}), ("0-1\n", {0, 1})]
)
def test_lists_of_numbers(text: str, numbers: set[int]) -> None:
    assert indices(text) == numbers


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", []),
        ("/dev/nvidia0", ["/dev/nvidia0"]),
        ("/dev/fakegpu[0-2]", ["/dev/fakegpu0", "/dev/fakegpu1", "/dev/fakegpu2"]),
        ("/dev/gpu[0,3]x", ["/dev/gpu0x", "/dev/gpu3x"]),
    ],
)
def test_files_of_gres_conf(pattern: str, expected: list[str]) -> None:
    assert files(pattern) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{CRYPT}$6", "{CRYPT}"),
        ("{ssha512}AB", "{SSHA512}"),
        ("{ARGON2}$", "{ARGON2}"),
        ("secret", ""),
        ("", ""),
    ],
)
def test_cleartext_has_no_scheme(value: str, expected: str) -> None:
    assert scheme(value) == expected


@pytest.mark.parametrize(
    ("enabled", "links", "starts"),
    [
        ("enabled", [], True),
        ("disabled", ["/etc/rc2.d/S01slapd"], False),
        ("generated", ["/etc/rc2.d/S01slapd", "/etc/rc2.d/S01ssh"], True),
        ("generated", ["/etc/rc2.d/S01ssh", "/etc/rc2.d/S01slapd-other"], False),
        ("generated", ["/etc/rc[2-4].d/S*"], False),  # no link at all: the pattern as the shell leaves it
        ("masked", [], False),
        ("", [], False),
    ],
)
def test_a_service_starts_at_boot_by_systemd_or_by_a_link(
    enabled: str, links: list[str], starts: bool
) -> None:
    assert starts_at_boot("slapd.service", enabled, links) is starts
