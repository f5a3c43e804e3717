"""The hub's settings and the job of a notebook: what users ask for gets there, and nothing besides."""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jinja2
import pytest
from roles_files import ROOT

FILES = ROOT / "roles/jupyterhub/files"
ODD = '"><script>x</script>'


class Section(dict[str, Any]):
    """Settings of one class, by attribute or by key, as traitlets has them."""

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, partitions: list[str], **config: Any
) -> tuple[dict[str, Section], dict[str, Any]]:
    """What the hub is set to, and the names of the file that sets it, which is told another folder than /etc."""
    (folder / "settings.json").write_text(json.dumps({"partitions": partitions, "config": config}))
    (folder / "notebook.sh").write_text((FILES / "notebook.sh").read_text())
    monkeypatch.setitem(sys.modules, "batchspawner", ModuleType("batchspawner"))

    class Settings(defaultdict[str, Section]):
        def __getattr__(self, name: str) -> Section:
            return self[name]

    found = Settings(Section)
    names: dict[str, Any] = {"c": found, "__name__": "jupyterhub_config"}
    text = (FILES / "jupyterhub_config.py").read_text()
    there = 'Path("/etc/jupyterhub")'
    assert text.count(there) == 1
    exec(compile(text.replace(there, f"Path({str(folder)!r})"), "jupyterhub_config.py", "exec"), names)  # noqa: S102
    return found, names


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return settings(tmp_path, monkeypatch, partitions=["cpu"])[1]


class Form(HTMLParser):
    """The fields and choices of a form, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.fields: list[str] = []
        self.choices: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        if tag in {"input", "select"}:
            self.fields.append(given["name"] or "")
        if tag == "option":
            self.choices.append(given["value"] or "")


def test_the_form_has_each_field_and_each_partition(names: dict[str, Any]) -> None:
    form = Form(names["form"](["cpu", "gpu"]))
    assert form.fields == list(names["FIELDS"])
    assert form.choices == ["cpu", "gpu"]


def test_a_partition_with_an_odd_name_is_a_name_and_no_markup(names: dict[str, Any]) -> None:
    form = Form(names["form"]([ODD]))
    assert form.choices == [ODD]
    assert "script" not in form.tags


def test_what_is_empty_or_unknown_is_not_asked_for(names: dict[str, Any]) -> None:
    given = {
        "partition": ["gpu"],
        "memory": ["  "],
        "runtime": [""],
        "gres": [],
        "prologue": ["rm"],
        "x": ["y"],
    }
    assert names["wishes"](given) == {"partition": "gpu"}
    assert names["wishes"]({"runtime": [" 1:00 "]}) == {"runtime": "1:00"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\u2028"])
def test_a_value_is_one_line_of_the_script(names: dict[str, Any], end: str) -> None:
    value = f"1:00{end}#SBATCH --nodes=9"
    assert names["wishes"]({"runtime": [value]}) == {"runtime": "1:00"}


def test_who_asks_past_the_form_gets_no_more_than_it_has(names: dict[str, Any]) -> None:
    asked = {
        "partition": "gpu",
        "nprocs": 2,
        "memory": None,
        "gres": "gpu:1\n#SBATCH -N9",
        "cmd": "x",
        "prologue": "y",
    }
    spawner = SimpleNamespace(user_options=asked)
    names["only_wishes"](spawner)
    assert spawner.user_options == {"partition": "gpu", "nprocs": "2", "gres": "gpu:1"}


def test_the_hub_is_set_to_what_the_role_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"JupyterHub.bind_url": "http://127.0.0.1:8000", "SlurmSpawner.req_memory": "1G"}
    found, names = settings(tmp_path, monkeypatch, partitions=["cpu"], **more)
    assert found["JupyterHub"] == {"bind_url": "http://127.0.0.1:8000"}
    spawner = found["SlurmSpawner"]
    assert spawner["req_memory"] == "1G"
    assert spawner["batch_script"] == (FILES / "notebook.sh").read_text()
    assert spawner["options_from_form"] is names["wishes"]
    assert spawner["pre_spawn_hook"] is names["only_wishes"]


def test_nobody_is_asked_where_there_is_nothing_to_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawner = settings(tmp_path, monkeypatch, partitions=[])[0]["SlurmSpawner"]
    assert not {"options_form", "options_from_form"} & set(spawner)
    assert "pre_spawn_hook" in spawner


def test_a_setting_of_the_users_own_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"SlurmSpawner.batch_script": "mine"}
    assert settings(tmp_path, monkeypatch, partitions=[], **own)[0]["SlurmSpawner"]["batch_script"] == "mine"


ALWAYS = {
    "homedir": "/home/ann",
    "keepvars": "PATH,JUPYTERHUB_API_TOKEN",
    "prologue": "export A=1",
    "cmd": "run it",
}
ASKED = {
    "partition": ("gpu", "--partition=gpu"),
    "runtime": ("1:00:00", "--time=1:00:00"),
    "nprocs": ("2", "--cpus-per-task=2"),
    "memory": ("512M", "--mem=512M"),
    "gres": ("gpu:1", "--gres=gpu:1"),
    "account": ("research", "--account=research"),
    "qos": ("debug", "--qos=debug"),
    "reservation": ("course", "--reservation=course"),
    "options": ("--exclusive", "--exclusive"),
}


def script(**given: str) -> list[str]:
    """The job's script as batchspawner makes it: what nobody set is an empty string."""
    template = jinja2.Template((FILES / "notebook.sh").read_text())
    return template.render(dict.fromkeys(ASKED, "") | ALWAYS | given).splitlines()


def options(lines: list[str]) -> list[str]:
    """What sbatch reads: it stops at the first line that is neither empty nor a comment."""
    end = next(index for index, line in enumerate(lines) if line and not line.startswith("#"))
    return [line.removeprefix("#SBATCH ") for line in lines[:end] if line.startswith("#SBATCH ")]


USUAL = [
    "--job-name=jupyter",
    "--chdir=/home/ann",
    "--output=/home/ann/.jupyter-%j.log",
    "--export=PATH,JUPYTERHUB_API_TOKEN",
]


def test_a_job_that_asks_for_nothing_is_as_the_cluster_has_it() -> None:
    lines = script()
    assert lines[0] == "#!/bin/bash"
    assert options(lines) == USUAL
    assert [line for line in lines if line and not line.startswith("#")] == ["export A=1", "exec run it"]


@pytest.mark.parametrize("field", ASKED)
def test_each_thing_that_is_asked_for_is_a_line_for_sbatch(field: str) -> None:
    value, option = ASKED[field]
    assert options(script(**{field: value})) == [*USUAL, option]


def test_all_of_them_together_are_too_and_nothing_of_the_template_is_left() -> None:
    lines = script(**{field: value for field, (value, _) in ASKED.items()})
    assert options(lines) == [*USUAL, *(option for _, option in ASKED.values())]
    assert not [line for line in lines if re.search(r"[{}]", line)]


def test_the_form_asks_for_what_the_script_can_say(names: dict[str, Any]) -> None:
    assert set(names["FIELDS"]) <= set(ASKED)
