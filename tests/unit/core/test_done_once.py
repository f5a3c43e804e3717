"""What Ansible's workers are spared: a template that is compiled for one is there for all, and is the same template."""
# ruff: noqa: S701 - nothing here is for a browser

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible._internal._templating._engine import TemplateEngine, TemplateOptions
from ansible.template import trust_as_template
from jinja2 import Environment, TemplateSyntaxError

from labctl.callbacks import done_once
from labctl.steps.ansible_settings import environment

GENUINE = Environment.compile


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is really compiled, in order."""
    seen: list[str] = []

    def compile_(self: Environment, source: object, *args: object, **options: object) -> object:
        seen.append(str(source))
        return GENUINE(self, source, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Environment, "compile", done_once.kept(compile_, tmp_path))  # type: ignore[arg-type]
    return seen


def test_a_template_is_compiled_once(compiled: list[str]) -> None:
    for name in ("ada", "eve"):
        engine = TemplateEngine(variables={"name": name})
        assert engine.template(trust_as_template("I am {{ name }}")) == f"I am {name}"
    assert compiled == ["I am {{ name }}"]


def test_an_expression_is_compiled_once_and_no_other_is_taken_for_it(compiled: list[str]) -> None:
    for _ in range(2):
        assert Environment().compile_expression("x == 1")(x=1) is True
        assert Environment().compile_expression("x == 2")(x=1) is False
        assert Environment().compile_expression("x == '1'")(x=1) is False
    assert len(compiled) == 3


def test_what_is_compiled_with_other_settings_is_another(compiled: list[str]) -> None:
    for _ in range(2):
        assert Environment(variable_start_string="<<").from_string("{{ x }}<< x }}").render(x=1) == "{{ x }}1"
        assert Environment().from_string("{{ x }}<< x }}").render(x=1) == "1<< x }}"
        assert Environment(autoescape=True).from_string("{{ x }}").render(x="<") == "&lt;"
        assert Environment().from_string("{{ x }}").render(x="<") == "<"
    assert len(compiled) == 4


def test_backslashes_are_as_ansible_wants_them_at_the_time(compiled: list[str]) -> None:
    for _ in range(2):
        for escape, told in ((True, "a\\nb"), (False, "a\nb")):
            text = trust_as_template("{{ 'a\\nb' }}")
            assert TemplateEngine().template(text, options=TemplateOptions(escape_backslashes=escape)) == told
    assert len(compiled) == 2


def test_a_mistake_is_said_each_time_and_leaves_nothing(compiled: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(TemplateSyntaxError):
            Environment().from_string("{{ x ")
    assert len(compiled) == 2
    assert not list(tmp_path.iterdir())


def test_without_the_folder_templates_are_compiled_all_the_same(compiled: list[str], tmp_path: Path) -> None:
    tmp_path.rmdir()
    for _ in range(2):
        assert Environment().from_string("{{ x }}").render(x=1) == "1"
    assert len(compiled) == 2


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Say who this is
      ansible.builtin.debug:
        msg: "{{ ['I', 'am', inventory_hostname] | join(' ') }}"
"""


def test_ansible_loads_the_plugin_and_leaves_what_it_has_compiled_in_a_folder_of_the_users(
    tmp_path: Path,
) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "hosts").write_text("one\ntwo\n[all:vars]\nansible_connection=local\n")
    told = environment(tmp_path, tmp_path)
    play = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "hosts", "play.yml"]
    done = subprocess.run(
        play, cwd=tmp_path, env=os.environ | told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for host in ("one", "two"):
        assert f"I am {host}" in done.stdout
    assert "WARNING" not in done.stderr
    folder = Path(told["LABCTL_TEMPLATES"])
    assert folder.stat().st_mode & 0o077 == 0
    assert any(b"join" in file.read_bytes() for file in folder.iterdir())
