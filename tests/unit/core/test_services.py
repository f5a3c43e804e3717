"""The services of a lab's nodes: one question a node, and no node keeps the others waiting."""

from __future__ import annotations

import threading

import pytest

from labctl import services
from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.errors import BootError
from labctl.providers.base import Answer


@pytest.fixture(scope="module")
def full() -> Definition:
    return load("full")


def test_each_node_is_asked_once_for_what_its_roles_have(full: Definition) -> None:
    asked: dict[str, str] = {}

    def ask(node: str, script: str) -> Answer:
        assert node not in asked
        asked[node] = script
        return Answer(0, "active\n" * (len(script.split()) - 2), "")

    nodes = [node.name for node in full.machines()]
    found = services.look(
        full, nodes, {"ldap-0": "10.1.1.10", "nfs-0": "10.1.1.11", "cpu-0": "10.1.1.13"}, ask
    )
    assert asked["ldap-0"] == "systemctl is-active slapd sssd"
    assert asked["cpu-0"] == "systemctl is-active slurmd munge sssd"
    assert list(asked) == nodes or set(asked) == set(nodes)
    where = {(one.node, one.name): one.address for one in found}
    assert where["ldap-0", "slapd"] == "ldap://10.1.1.10:389"
    assert where["nfs-0", "nfs-server"] == "10.1.1.11:/home,/data"
    assert where["cpu-0", "slurmd"] == "10.1.1.13:6818"
    assert where["cpu-0", "munge"] == ""
    assert where["cpu-1", "slurmd"] == ""  # its address is not known


def test_ports_are_those_of_the_definition() -> None:
    lab = load("mini-hpc")
    (found,) = (
        one
        for one in services.look(
            lab, ["slurmctld-0"], {"slurmctld-0": "10.1.1.12"}, lambda *_: Answer(0, "active\n" * 3, "")
        )
        if one.name == "slurmctld"
    )
    assert found.address == "10.1.1.12:7002"


@pytest.mark.parametrize(
    ("service", "unit", "port"),
    [("rest", "slurmrestd", "slurmrestd_port"), ("registry", "docker-registry", "registry_port")],
)
def test_ports_of_services_are_those_of_the_definition(service: str, unit: str, port: str) -> None:
    lab = load("cpu", overrides=[f"services.{service}=true", f"vars.{port}=7777"])

    def ask(_: str, script: str) -> Answer:
        return Answer(0, "active\n" * (len(script.split()) - 2), "")

    found = services.look(lab, ["cpu-0"], {"cpu-0": "10.1.1.12"}, ask)
    assert {one.name: one.address for one in found}[unit] == "https://10.1.1.12:7777"


def test_what_systemd_says_is_said(full: Definition) -> None:
    found = services.look(full, ["cpu-0"], {}, lambda *_: Answer(3, "failed\nactive\ninactive\n", ""))
    assert [(one.name, one.state) for one in found] == [
        ("slurmd", "failed"),
        ("munge", "active"),
        ("sssd", "inactive"),
    ]


def test_a_node_that_does_not_answer_keeps_no_other_from_its_answer(full: Definition) -> None:
    others = threading.Event()

    def ask(node: str, _: str) -> Answer:
        if node == "cpu-0":
            assert others.wait(60)  # asked first, answers last
            raise BootError("cpu-0 cannot be told")
        others.set()
        return Answer(0, "active\n" * 3, "")

    found = services.look(full, ["cpu-0", "cpu-1"], {}, ask)
    assert {one.node: one.state for one in found} == {"cpu-0": "unknown", "cpu-1": "active"}


def test_half_an_answer_is_none(full: Definition) -> None:
    found = services.look(full, ["cpu-0"], {}, lambda *_: Answer(127, "", "sh: systemctl: not found"))
    assert {one.state for one in found} == {"unknown"}


def test_accounting_and_its_database_are_services_where_they_are_on() -> None:
    lab = Definition.model_validate(load("cpu").model_dump() | {"services": {"accounting": True}})
    found = services.look(lab, ["cpu-0"], {"cpu-0": "10.1.1.10"}, lambda *_: Answer(0, "active\n" * 8, ""))
    where = {one.name: one.address for one in found}
    assert (where["slurmdbd"], where["mariadb"]) == ("10.1.1.10:6819", "")
    assert not {"slurmdbd", "mariadb"} & {
        one.name
        for one in services.look(load("cpu"), ["cpu-0"], {}, lambda *_: Answer(0, "active\n" * 6, ""))
    }
