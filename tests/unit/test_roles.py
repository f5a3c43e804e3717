"""The roles are what their specifications say: public variables typed and described, secrets in no log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from roles_files import NAMES, ROLES, module, read, specification, tasks, words

#: Variables that are secrets or hold them.
SECRETS = {
    "munge_key",
    "ldap_server_tls_key",
    "ldap_server_users",
    "ldap_server_groups",
    "password_hash",
    "slurmdbd_storage_password",
    "slurm_common_jwt_key",
    "slurmrestd_tls_key",
    "mariadb_databases",
    "registry_key",
    "registry_users",
    "jupyterhub_tls_key",
    "jupyterhub_config",  # the address of a database may have a password in it
}
#: What is made of a secret and has none in it.
PUBLIC = {
    "__mariadb_names",
    "__slurmctld_tokens",
    "__slurmdbd_tokens",
    "__registry_names",
    "__jupyterhub_names",
}
MARKED = {
    "munge_key",
    "ldap_server_tls_key",
    "password_hash",
    "slurmdbd_storage_password",
    "password",
    "slurm_common_jwt_key",
    "slurmrestd_tls_key",
    "registry_key",
    "jupyterhub_tls_key",
}
#: Modules of the roles that keep a secret to themselves, see below.
KEEPS = {"ldap_entries"}

every_role = pytest.mark.parametrize("role", ROLES, ids=NAMES)


def described(options: dict[str, Any]) -> list[str]:
    """The options, suboptions included, that lack a type or a description."""
    lacking = []
    for name, option in options.items():
        if not option.get("type") or not option.get("description"):
            lacking.append(name)
        if option.get("type") == "list" and not option.get("elements"):
            lacking.append(name)
        lacking += [f"{name}.{inner}" for inner in described(option.get("options", {}))]
    return lacking


@every_role
def test_the_specification_and_the_defaults_say_the_same(role: Path) -> None:
    defaults = read(role / "defaults/main.yml")
    specified = {
        name: option["default"] for name, option in specification(role).items() if "default" in option
    }
    assert specified == defaults


@every_role
def test_a_variable_without_default_is_required(role: Path) -> None:
    without = [name for name, option in specification(role).items() if "default" not in option]
    assert [name for name in without if not specification(role)[name].get("required")] == []


@every_role
def test_every_option_has_a_type_and_a_description(role: Path) -> None:
    assert described(specification(role)) == []


@every_role
def test_public_variables_bear_the_roles_name(role: Path) -> None:
    assert [name for name in specification(role) if not name.startswith(f"{role.name}_")] == []


@every_role
def test_every_entry_point_has_a_specification_of_the_same_options(role: Path) -> None:
    specifications = read(role / "meta/argument_specs.yml")["argument_specs"]
    assert {"main", "install", "configure"} <= set(specifications)
    assert all((role / "tasks" / f"{entry}.yml").exists() for entry in specifications)
    whole = specification(role)
    for entry in specifications:
        options = specification(role, entry)
        assert {name: whole[name] for name in options} == options


@every_role
def test_private_variables_are_marked_as_private(role: Path) -> None:
    names = [name for path in role.glob("vars/*.yml") for name in read(path)]
    assert [name for name in names if not name.startswith(f"__{role.name}_")] == []


@every_role
def test_a_variable_that_tasks_use_exists(role: Path) -> None:
    known = set(specification(role)) | {name for path in role.glob("vars/*.yml") for name in read(path)}
    known |= {task["register"] for _, task in tasks(role) if "register" in task}
    known |= {name for _, task in tasks(role) for name in task.get("ansible.builtin.set_fact", {})}
    used = {word for _, task in tasks(role) for word in words(task) if word.startswith(f"__{role.name}_")}
    assert used - known == set()


@every_role
def test_a_task_that_sees_a_secret_hides_it(role: Path) -> None:
    variables = {name: value for path in role.glob("vars/*.yml") for name, value in read(path).items()}
    secret = set(SECRETS)
    for _ in variables:  # a variable that is made of a secret is one
        secret |= {name for name, value in variables.items() if words(value) & secret} - PUBLIC
    shown = [
        f"{file}: {task['name']}"
        for file, task in tasks(role)
        if words(task) & secret and not task.get("no_log") and not KEEPS & set(task)
    ]
    assert shown == []


def test_the_module_that_gets_passwords_hides_them_itself() -> None:
    (directory,) = [role for role in ROLES if role.name == "ldap_server"]
    arguments = module(directory / "library/ldap_entries.py").ARGUMENTS
    assert arguments["passwords"]["no_log"] is True
    (task,) = [task for _, task in tasks(directory) if "ldap_entries" in task]
    assert "password" not in str(task["ldap_entries"]["entries"])
    assert "password_hash" not in (directory / "templates/directory.yml.j2").read_text(encoding="utf-8")


@every_role
def test_a_template_or_copy_with_a_secret_shows_no_difference(role: Path) -> None:
    for _, task in tasks(role):
        if task.get("no_log"):
            assert task.get("diff") is False, task["name"]


@every_role
def test_nothing_waits_for_a_fixed_time(role: Path) -> None:
    assert [
        task["name"] for _, task in tasks(role) if "pause" in task or "ansible.builtin.pause" in task
    ] == []


@every_role
def test_packages_units_and_debconf_are_named_for_the_box(role: Path) -> None:
    names = read(role / "vars/Debian.yml")
    assert {f"__{role.name}_packages", f"__{role.name}_services"} <= set(names)
    assert all(
        isinstance(value, list) and all(isinstance(item, str) for item in value) for value in names.values()
    )


@every_role
def test_secrets_are_marked_in_the_specification(role: Path) -> None:
    options = specification(role)
    flat = options | {
        key: value for option in options.values() for key, value in option.get("options", {}).items()
    }
    marked = {name for name, option in flat.items() if option.get("no_log")}
    assert marked == {name for name in flat if name in MARKED}
