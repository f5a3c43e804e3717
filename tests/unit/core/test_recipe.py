"""What a box is made of, and that its key says all of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from labctl.definition import shipped
from labctl.errors import UsageError
from labctl.resources import resource
from labctl.steps import recipe as module
from labctl.steps.recipe import recipe


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the roles and the recipes, to be changed."""
    shutil.copytree(resource("roles"), tmp_path / "roles")
    shutil.copytree(shipped.BOXES, tmp_path / "boxes")
    monkeypatch.setattr(module, "resource", lambda name: tmp_path / name)
    monkeypatch.setattr(shipped, "BOXES", tmp_path / "boxes")
    return tmp_path


def change(path: Path, **changes: object) -> None:
    yaml = YAML()
    content = yaml.load(path)
    yaml.dump({**content, **changes}, path)


def test_a_box_holds_what_every_role_installs() -> None:
    made = recipe("debian-12")
    for variables in resource("roles").glob("*/vars/Debian.yml"):
        content = YAML(typ="safe").load(variables)
        for key, value in content.items():
            if key.endswith("_packages"):
                assert set(value) <= set(made.packages), (variables, key)
    assert "linux-image-cloud-amd64" in made.packages
    assert len(set(made.packages)) == len(made.packages)


def test_units_of_roles_are_off_until_a_role_turns_them_on() -> None:
    made = recipe("debian-12")
    assert {"slurmctld.service", "slurmd.service", "munge.service"} <= set(made.disable)
    assert set(made.disable).isdisjoint(made.mask)


def test_the_same_content_has_the_same_key(project: Path) -> None:
    assert recipe("debian-12").key == recipe("debian-12").key
    before = recipe("debian-12").key
    assert (project / "roles" / "munge" / "README.md").is_file()
    (project / "roles" / "munge" / "README.md").write_text("other words")
    (project / "roles" / "munge" / "tasks" / "main.yml").write_text("[]")
    assert recipe("debian-12").key == before


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("roles/munge/vars/Debian.yml", {"__munge_packages": ["munge", "more"]}),
        ("roles/munge/vars/Debian.yml", {"__munge_services": ["munge.service", "more.service"]}),
        ("roles/ldap_server/vars/Debian.yml", {"__ldap_server_debconf": ["slapd slapd/x boolean true"]}),
        ("boxes/debian-12/recipe.yml", {"suite": "trixie"}),
        ("boxes/debian-12/recipe.yml", {"packages": ["systemd"]}),
        ("boxes/debian-12/recipe.yml", {"mask": []}),
        ("boxes/debian-12/recipe.yml", {"blacklist": []}),
        ("boxes/debian-12/recipe.yml", {"disk_size": 20}),
        ("boxes/debian-12/recipe.yml", {"environments": {}}),
        (
            "boxes/debian-12/recipe.yml",
            {"environments": {"/elsewhere": "jupyterlab/files/requirements.txt"}},
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_whatever_changes_the_box_changes_its_key(
    project: Path, path: str, changes: dict[str, object]
) -> None:
    before = recipe("debian-12").key
    assert (project / path).is_file()
    if path.startswith("roles"):
        content = YAML(typ="safe").load(project / path)
        assert set(changes) <= set(content), "the role has no such variable"
    change(project / path, **changes)
    assert recipe("debian-12").key != before


def test_the_scripts_that_are_run_in_it_are_part_of_the_key(project: Path) -> None:
    made = recipe("debian-12")
    assert project in made.customize.parents
    assert [path.name for path in made.environments.values()] == ["requirements.txt"]
    for path in (made.customize, *made.files, *made.prepare, *made.environments.values()):
        before = recipe("debian-12").key
        with path.open("a") as script:
            script.write("# more\n")
        assert recipe("debian-12").key != before


def test_the_order_of_packages_does_not_matter(project: Path) -> None:
    before = recipe("debian-12")
    path = project / "boxes" / "debian-12" / "recipe.yml"
    change(path, packages=YAML(typ="safe").load(path)["packages"][::-1])
    assert recipe("debian-12") == before


def test_an_unknown_box_is_refused_with_those_there_are() -> None:
    assert "debian-12" in shipped.boxes()
    with pytest.raises(UsageError, match="there is no recipe for a box 'debain'") as refused:
        recipe("debain")
    assert "debian-12" in refused.value.hint
