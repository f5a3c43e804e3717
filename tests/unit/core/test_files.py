"""The files of a lab: written once, private where they must be, found from where one is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_lab import small

from labctl import files, folders
from labctl.errors import LabError, LockedError
from labctl.files import LabFiles, Record, key_of
from labctl.plan import Shape
from labctl.resources import resource


@pytest.fixture
def lab(tmp_path: Path) -> LabFiles:
    made = LabFiles(tmp_path / "work" / ".labctl" / "small")
    made.make()
    return made


def test_the_folder_can_be_made_again_and_git_does_not_see_it(lab: LabFiles) -> None:
    lab.make()
    assert lab.log("boot").parent.is_dir()
    assert (lab.directory / ".gitignore").read_text() == "*\n"


# What it remembers


def test_what_is_remembered_comes_back(lab: LabFiles) -> None:
    record = Record(
        addresses={"a": "10.0.0.1"}, shapes={"a": {"cpus": 1, "memory": 2, "box": "b", "roles": ["slurmd"]}}
    )
    lab.remember(record)
    assert lab.record() == record
    assert lab.record().made_with() == {"a": Shape(1, 2, "b", ("slurmd",))}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 1}', "null", "7"])
def test_a_damaged_memory_is_none(lab: LabFiles, text: str) -> None:
    assert lab.record() == Record()
    (lab.directory / "record.json").write_text(text)
    assert lab.record() == Record()


def test_shapes_that_cannot_be_read_are_not_known(lab: LabFiles) -> None:
    good = {"cpus": 1, "memory": 2, "box": "b", "roles": []}
    shapes = {"good": good, "list": [1, 512], "less": {"cpus": 1, "roles": []}, "more": {**good, "disk": 1}}
    lab.remember(Record(shapes=shapes))
    assert set(lab.record().made_with()) == {"good"}


# What is written


def test_secrets_are_private_and_the_rest_is_not(lab: LabFiles) -> None:
    secret = "inventory/group_vars/all/secrets.yml"
    lab.write({secret: "a: b\n", "ssh_config": "Host a\n"})
    assert (lab.directory / secret).stat().st_mode & 0o777 == 0o600
    assert (lab.directory / "ssh_config").stat().st_mode & 0o044


def test_what_is_equal_is_left_alone(lab: LabFiles) -> None:
    for name in ("ssh_config", "inventory/group_vars/all/secrets.yml"):
        lab.write({name: "one\n"})
        before = (lab.directory / name).stat()
        lab.write({name: "one\n"})
        after = (lab.directory / name).stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        lab.write({name: "two\n"})
        assert (lab.directory / name).read_text() == "two\n"


def test_variables_of_nodes_that_are_no_more_go(lab: LabFiles) -> None:
    lab.write({f"inventory/host_vars/{node}.yml": "{}\n" for node in ("cpu-0", "cpu-1")})
    lab.forget_hosts({"cpu-1"})
    assert [path.name for path in (lab.inventory / "host_vars").iterdir()] == ["cpu-1.yml"]


def test_a_lab_that_was_never_made_has_no_definition(lab: LabFiles) -> None:
    assert lab.load() is None


# What goes


def test_the_last_lab_takes_the_folder_along(lab: LabFiles) -> None:
    other = LabFiles(lab.directory.with_name("other"))
    other.make()
    lab.remove()
    assert other.directory.is_dir()
    other.remove()
    other.remove()
    assert not other.directory.parent.exists()


# The lock


def test_the_lock_names_who_has_it(lab: LabFiles) -> None:
    with (
        lab.locked("small", "up"),
        pytest.raises(LockedError, match=r"labctl up \(process \d+\) is working on the lab small"),
        lab.locked("small", "destroy"),
    ):
        pass


def test_locks_of_two_labs_are_two(lab: LabFiles) -> None:
    with lab.locked("small", "up"), LabFiles(lab.directory.with_name("other")).locked("other", "up"):
        pass


def test_a_lock_of_a_lab_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with LabFiles(tmp_path / ".labctl" / "none").locked("none", "destroy"):
        pass
    assert not (tmp_path / ".labctl").exists()


def test_the_lock_of_a_lab_is_no_lab(lab: LabFiles) -> None:
    with lab.locked("small", "up"):
        assert folders.find(lab.directory.parent.parent, None) is None


# Its key


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what converge depends on."""
    for folder in ("roles", "playbooks"):
        shutil.copytree(resource(folder), tmp_path / "project" / folder)
    monkeypatch.setattr(files, "resource", lambda name: tmp_path / "project" / name)
    return tmp_path / "project"


@pytest.mark.parametrize(
    "path",
    [
        "roles/munge/tasks/main.yml",
        "roles/munge/defaults/main.yml",
        "roles/ldap_client/templates/new.j2",
        "playbooks/site.yml",
    ],
)
def test_a_change_of_a_role_or_a_playbook_changes_the_key(project: Path, path: str) -> None:
    before = key_of(small(), "debian-12-a")
    assert key_of(small(), "debian-12-a") == before
    with (project / path).open("a") as file:
        file.write("# more\n")
    assert key_of(small(), "debian-12-a") != before


@pytest.mark.parametrize("path", ["roles/munge/README.md", "roles/munge/filter_plugins/a.pyc"])
def test_what_changes_nothing_on_a_machine_does_not_change_the_key(project: Path, path: str) -> None:
    before = key_of(small(), "debian-12-a")
    (project / path).parent.mkdir(exist_ok=True)
    with (project / path).open("a") as file:
        file.write("more\n")
    assert key_of(small(), "debian-12-a") == before


def test_a_file_that_moves_changes_the_key(project: Path) -> None:
    before = key_of(small(), "debian-12-a")
    tasks = project / "roles" / "munge" / "tasks"
    (tasks / "main.yml").rename(tasks / "other.yml")
    assert key_of(small(), "debian-12-a") != before


def test_definition_box_and_labctl_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [
        key_of(small(), "debian-12-a"),
        key_of(small(), "debian-12-b"),
        key_of(small("vars.common_timezone=UTC"), "debian-12-a"),
        key_of(small("nodes.head.memory=1024"), "debian-12-a"),
    ]
    monkeypatch.setattr(files, "__version__", "9.9")
    keys.append(key_of(small(), "debian-12-a"))
    assert len(set(keys)) == len(keys)


# Found


def labs(base: Path, *names: str) -> None:
    for name in names:
        LabFiles(base / ".labctl" / name).make()
        (base / ".labctl" / name / "lab.yml").write_text("{}")


def test_the_nearest_folder_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    labs(tmp_path, "outer")
    assert folders.find(inner, None) == tmp_path / ".labctl" / "outer"
    labs(tmp_path / "a", "inner")
    assert folders.find(inner, None) == tmp_path / "a" / ".labctl" / "inner"
    assert folders.find(inner, "outer") == tmp_path / ".labctl" / "outer"
    assert folders.find(inner, "none") is None


def test_among_several_one_must_be_named(tmp_path: Path) -> None:
    labs(tmp_path, "one", "two")
    with pytest.raises(LabError, match="which lab") as refused:
        folders.find(tmp_path, None)
    assert refused.value.why == "there are one, two"
    assert folders.find(tmp_path, "two") == tmp_path / ".labctl" / "two"


def test_a_folder_without_a_definition_is_no_lab(tmp_path: Path) -> None:
    LabFiles(tmp_path / ".labctl" / "half").make()
    assert folders.find(tmp_path, "half") is None


def test_what_is_remembered_is_plain_json(lab: LabFiles) -> None:
    lab.remember(Record(converged="k"))
    assert json.loads((lab.directory / "record.json").read_text())["converged"] == "k"
