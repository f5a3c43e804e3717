"""`services`: what is on, on which node it runs, and what may not be said."""

from __future__ import annotations

import pytest

from labctl.definition import services
from labctl.definition.loading import dump, load, loads
from labctl.errors import DefinitionError

BEGINNING = """\
name: small
users: [{name: ann, uid: 10000}]
partitions: [{name: cpu}]
services: {accounting: true}
nodes:
  - {name: srv-0, roles: [ldap_server, nfs_server, slurmctld]}
  - {name: cpu-0, roles: [slurmd], partitions: [cpu]}
"""
REGISTRY = "  - {name: reg-0, roles: [registry]}\n"


def roles(text: str) -> dict[str, tuple[str, ...]]:
    return {node.name: node.roles for node in loads(text).machines()}


OF_SERVICES = {role for roles in services.ROLES.values() for role in roles} | {"containers", "pyxis"}


@pytest.mark.parametrize("preset", ["cpu", "gpu", "multi-node", "mini-hpc"])
def test_a_small_preset_has_none_by_itself_and_any_can_have_them(preset: str) -> None:
    assert not any(OF_SERVICES & set(node.roles) for node in load(preset).machines())
    with_them = load(preset, overrides=["services.accounting=true"])
    (home,) = [node for node in with_them.machines() if "slurmdbd" in node.roles]
    assert {"slurmctld", "mariadb"} <= set(home.roles)


def test_full_has_every_service_that_needs_nothing_from_outside() -> None:
    lab = load("full")
    assert {role for node in lab.machines() for role in node.roles} >= OF_SERVICES - {"pyxis"}
    assert not lab.services.pyxis


@pytest.mark.parametrize(
    ("service", "gone"),
    [
        ("accounting", {"mariadb", "slurmdbd"}),
        ("rest", {"slurmrestd"}),
        ("registry", {"registry", "containers"}),
        ("jupyter", {"jupyterhub"}),
    ],
)
def test_each_can_be_turned_off_and_the_others_stay(service: str, gone: set[str]) -> None:
    def there(*overrides: str) -> set[str]:
        return {role for node in load("full", overrides=overrides).machines() for role in node.roles}

    assert there() - there(f"services.{service}=false") == gone


def test_logins_are_turned_off_together_with_their_node() -> None:
    off = ["services.login=false"]
    with pytest.raises(DefinitionError, match=r"login-0\.roles: the role login is of the service login"):
        load("full", overrides=off)
    nodes = load("full", overrides=[*off, "nodes.login-0.roles=[]"]).machines()
    (hub,) = [node.name for node in nodes if "jupyterhub" in node.roles]
    assert hub == "slurmctld-0"


def test_services_run_on_the_controllers_node() -> None:
    assert roles(BEGINNING)["srv-0"] == ("ldap_server", "nfs_server", "slurmctld", "slurmdbd", "mariadb")


def test_a_node_of_their_own_has_them_with_the_database_beside() -> None:
    seen = roles(BEGINNING + "  - {name: dbd-0, roles: [slurmdbd]}\n")
    assert seen["dbd-0"] == ("slurmdbd", "mariadb")
    assert seen["srv-0"] == ("ldap_server", "nfs_server", "slurmctld")


def test_the_database_can_be_apart() -> None:
    seen = roles(BEGINNING + "  - {name: db-0, roles: [mariadb]}\n")
    assert seen["db-0"] == ("mariadb",)
    assert seen["srv-0"][-1] == "slurmdbd"


def test_a_registry_brings_containers_to_where_jobs_are_made_and_run() -> None:
    seen = roles(BEGINNING.replace("accounting", "registry") + REGISTRY)
    assert seen["reg-0"] == ("registry",)
    assert seen["srv-0"][-1] == seen["cpu-0"][-1] == "containers"


def test_containers_can_be_had_without_a_registry() -> None:
    seen = roles(BEGINNING.replace("accounting", "containers"))
    assert seen["cpu-0"] == ("slurmd", "containers")
    assert not any("registry" in of_node for of_node in seen.values())


def test_pyxis_is_where_jobs_are_made_and_run_and_nowhere_unless_asked_for() -> None:
    assert not any("pyxis" in of_node for of_node in roles(BEGINNING).values())
    seen = roles(BEGINNING.replace("accounting: true", "registry: true, pyxis: true") + REGISTRY)
    assert seen["srv-0"][-2:] == seen["cpu-0"][-2:] == ("containers", "pyxis")
    assert seen["reg-0"] == ("registry",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BEGINNING.replace("true", "false") + "  - {name: d-0, roles: [slurmdbd]}\n", "services: {accounting: true}"),
        (BEGINNING + '  - {name: "d-[0-1]", roles: [slurmdbd]}\n', "d-1 is a second slurmdbd; d-0 is one already"),
    ],
)  # fmt: skip
def test_a_role_of_a_service_is_there_once_and_only_with_it(text: str, words: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        loads(text)
    assert words in str(refusal.value.why)


def test_a_broken_service_hides_no_other_mistake_and_makes_none_up() -> None:
    text = BEGINNING.replace("accounting: true", "acounting: true").replace("uid: 10000", "uid: 5")
    with pytest.raises(DefinitionError) as refusal:
        loads(text + "  - {name: d-0, roles: [slurmdbd]}\n")
    assert len(str(refusal.value.why).splitlines()) == 2


def test_what_is_dumped_loads_as_the_same() -> None:
    lab = loads(BEGINNING)
    assert loads(dump(lab)) == lab


LOGIN = BEGINNING.replace("accounting", "login")


def test_users_log_in_on_the_controllers_node_unless_there_are_nodes_for_that() -> None:
    assert roles(LOGIN)["srv-0"][-1] == "login"
    seen = roles(LOGIN + '  - {name: "login-[0-1]", roles: [login]}\n')
    assert seen["login-0"] == seen["login-1"] == ("login",)
    assert "login" not in seen["srv-0"]


JUPYTER = BEGINNING.replace("accounting", "jupyter")


def test_jupyterhub_is_beside_the_controller_or_on_the_first_login_node() -> None:
    assert roles(JUPYTER)["srv-0"][-1] == "jupyterhub"
    both = JUPYTER.replace("jupyter: true", "jupyter: true, login: true")
    assert roles(both)["srv-0"][-2:] == ("login", "jupyterhub")
    seen = roles(both + '  - {name: "login-[0-1]", roles: [login]}\n')
    assert (seen["login-0"], seen["login-1"]) == (("login", "jupyterhub"), ("login",))
    assert "jupyterhub" not in seen["srv-0"]


def test_jupyterhub_may_have_a_node_of_its_own() -> None:
    both = JUPYTER.replace("jupyter: true", "jupyter: true, login: true")
    hub = "  - {name: hub-0, roles: [jupyterhub]}\n"
    seen = roles(both + "  - {name: login-0, roles: [login]}\n" + hub)
    assert [name for name, of_node in seen.items() if "jupyterhub" in of_node] == ["hub-0"]
    with pytest.raises(DefinitionError, match="hub-1 is a second jupyterhub"):
        loads(JUPYTER + hub + hub.replace("hub-0", "hub-1"))
    with pytest.raises(DefinitionError, match=r"services: \{jupyter: true\}"):
        loads(BEGINNING + hub)


def test_a_node_cannot_bear_the_name_of_a_group() -> None:
    with pytest.raises(DefinitionError) as refusal:
        loads(LOGIN + "  - {name: login, roles: [login]}\n")
    assert "try 'login-0'" in str(refusal.value.why)
