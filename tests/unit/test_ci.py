"""What CI systems get from us: none of it can run here, so all that can be known of it is looked at."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from labctl.cli import application
from labctl.cli.failures import UsageMistake

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github/actions/lab/action.yml"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GITLAB = ROOT / "ci/gitlab.yml"
PAGE = ROOT / "docs/ci.md"
#: Of the project that users copy.
COPIED = (ROOT / "examples/testing/.github/workflows/tests.yml", ROOT / "examples/testing/.gitlab-ci.yml")
#: Not after a - or / or letter: those are other programs, paths and names.
COMMAND = re.compile(r"(?<![\w/.$-])labctl((?: +(?:\"[^\"]*\"|'[^']*'|[^\s;|&)\"']+))+)")


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def scripts(part: Any) -> Iterator[str]:
    """Every piece of shell, wherever it is."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("run", "script", "before_script", "after_script") and not isinstance(value, dict):
                yield from [value] if isinstance(value, str) else value
            else:
                yield from scripts(value)
    elif isinstance(part, list):
        for item in part:
            yield from scripts(item)


def examples() -> list[Any]:
    """What users copy: the YAML that the page shows, and that of the example project."""
    shown = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return [parsed(text) for text in (*shown, *(path.read_text() for path in COPIED))]


def every_script() -> list[str]:
    files = [parsed(path.read_text()) for path in (ACTION, GITLAB, *WORKFLOWS)]
    found = [script for part in (*files, *examples()) for script in scripts(part)]
    # The commands of a job that calls the workflow.
    given = [job["with"]["run"] for part in (*files, *examples()) for job in calls(part)]
    return [*found, *(text for text in given if isinstance(text, str))]


def calls(part: Any) -> list[dict[str, Any]]:
    jobs = part.get("jobs", {}).values() if isinstance(part, dict) else ()
    return [job for job in jobs if "uses" in job]


def refused(line: str) -> str:
    """What is wrong with a command of labctl's; nothing if it can be run."""
    words = shlex.split(re.sub(r"\$\w+", "1", line))  # what the variables hold is not known here
    command: Any = get_command(application())
    try:
        while hasattr(command, "commands"):
            if words[0] not in command.commands:
                return f"no command {words[0]}"
            command = command.commands[words.pop(0)]
        command.make_context("labctl", words)
    except UsageMistake as error:
        return str(error.format_message())
    return ""


def commands() -> list[str]:
    return [words.strip() for script in every_script() for words in COMMAND.findall(script)]


def test_every_command_of_labctl_is_one() -> None:
    wrong = {line: refused(line) for line in commands() if refused(line)}
    assert not wrong
    assert {line.split()[0] for line in commands()} >= {"up", "doctor", "snapshot", "config", "collect"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('up "$PRESET" --cii', "No such option: --cii"),
        ("snapshot kex", "no command kex"),
        ("up cpu --timeout soon", "should be a valid number"),
    ],
)
def test_one_that_is_not_would_be_found(line: str, words: str) -> None:
    assert words in refused(line)


@pytest.mark.parametrize("script", every_script())
def test_every_script_can_be_read_by_bash(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert not done.stderr
    # What is put into a script by the runner could be any command: it comes as a variable.
    assert "${{" not in script


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS], ids=lambda path: path.stem)
def test_what_a_workflow_names_is_there(path: Path) -> None:
    text = path.read_text()
    tree = parsed(text)
    expressions = " ".join(re.findall(r"\$\{\{(.*?)\}\}", text) + re.findall(r"\bif: (.*)", text))
    declared = tree.get("inputs") or ((tree.get("on") or {}).get("workflow_call") or {}).get("inputs") or {}
    assert set(re.findall(r"\binputs\.([\w-]+)", expressions)) == set(declared)
    ids = set(re.findall(r"\bid: (\w+)", text))
    assert set(re.findall(r"\bsteps\.(\w+)", expressions)) <= ids


def inputs(of: str) -> dict[str, Any]:
    """What the action or workflow that is used takes."""
    if of.partition("@")[0].endswith(".github/actions/lab"):
        return dict(parsed(ACTION.read_text())["inputs"])
    name = of.partition("@")[0].rpartition("/")[2]
    return dict(parsed((ROOT / ".github/workflows" / name).read_text())["on"]["workflow_call"]["inputs"])


def uses(part: Any) -> Iterator[dict[str, Any]]:
    """Every step or job that uses something of ours."""
    if isinstance(part, dict):
        if ".github/" in str(part.get("uses", "")):
            yield part
        for value in part.values():
            yield from uses(value)
    elif isinstance(part, list):
        for item in part:
            yield from uses(item)


def test_what_is_used_gets_what_it_takes() -> None:
    files = [parsed(path.read_text()) for path in WORKFLOWS]
    found = [one for part in (*files, *examples()) for one in uses(part)]
    assert len(found) >= 4  # the action and the workflow, in ours and on the page
    for one in found:
        known, given = inputs(one["uses"]), set(one.get("with", {}))
        assert given <= set(known), one
        assert {name for name, about in known.items() if about.get("required")} <= given, one


def test_what_gitlab_is_told_to_extend_is_there() -> None:
    known = parsed(GITLAB.read_text())
    extended = [
        job["extends"]
        for part in examples()
        for job in part.values()
        if isinstance(job, dict) and "extends" in job
    ]
    assert extended
    assert set(extended) <= set(known)
