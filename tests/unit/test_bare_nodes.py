"""A bare node: a machine of the lab that is no part of the cluster, and that no playbook gets to."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from render_layouts import a_layout, secrets

from labctl import target
from labctl.definition.loading import loads
from labctl.definition.models import Definition
from labctl.errors import DefinitionError
from labctl.plan import Observed, Wanted, plan
from labctl.render.graph import topology
from labctl.render.graph.text import text
from labctl.render.groups import members
from labctl.render.inventory import inventory
from labctl.render.ssh_config import ssh_config
from labctl.render.vagrantfile import vagrantfile
from labctl.selection import select

LAB = """\
name: small
users: [{name: ann, uid: 10000}]
partitions: [{name: cpu}]
nodes:
  - {name: srv-0, roles: [ldap_server, nfs_server, slurmctld, slurmd], partitions: [cpu]}
  - {name: desk-0}
  - {name: out-0, bare: true}
"""


def lab(text: str = LAB) -> Definition:
    return loads(text)


def test_it_is_a_machine_like_others_and_can_be_reached() -> None:
    layout = a_layout(lab())
    (address,) = [str(machine.address) for machine in layout.machines if machine.node.name == "out-0"]
    assert f"Host out-0\n    HostName {address}\n" in ssh_config(layout)
    assert "out-0" in vagrantfile(layout)
    assert "out-0" in select("small", lab().machines(), "all")


def test_it_is_in_no_group_and_no_file_of_the_inventory_and_a_client_is() -> None:
    assert [group for group, names in members(lab().machines()).items() if "out-0" in names] == []
    layout = a_layout(lab())
    texts = inventory(layout, secrets(layout.definition))
    assert [path for path, words in texts.items() if "out-0" in path + words] == []
    hosts: dict[str, Any] = yaml.safe_load(texts["inventory/hosts.yml"])
    assert list(hosts["all"]["hosts"]) == ["srv-0", "desk-0"]


def test_a_picture_tells_it_from_a_client() -> None:
    lines = text(topology.topology(lab())).splitlines()
    assert [line for line in lines if "out-0" in line and "bare" in line]
    assert [line for line in lines if "desk-0" in line and "client" in line]


@pytest.mark.parametrize(("key", "value"), [("roles", "[slurmd], partitions: [cpu]"), ("vars", "{a: 1}")])
def test_nothing_can_be_said_of_it_that_nobody_would_do(key: str, value: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        lab(LAB.replace("bare: true", f"bare: true, {key}: {value}"))
    assert f"a bare node has no {key}" in refused.value.why


@pytest.mark.parametrize(
    ("before", "after", "anew"), [("desk-0", "desk-0, bare: true", ["desk-0"]), ("x", "x", [])]
)
def test_a_client_that_becomes_bare_is_made_anew(before: str, after: str, anew: list[str]) -> None:
    made = target.shapes(lab())
    wanted = target.shapes(lab(LAB.replace(before, after)))
    observed = Observed(states=dict.fromkeys(made, "running"), shapes=made, converged="a", verified="a")
    actions = plan(Wanted(wanted, "a"), observed)
    assert [action.node for action in actions if action.kind == "recreate"] == anew


def test_a_bare_one_becomes_a_client_as_it_is() -> None:
    made = target.shapes(lab())
    wanted = target.shapes(lab(LAB.replace("{name: out-0, bare: true}", "{name: out-0}")))
    observed = Observed(states=dict.fromkeys(made, "running"), shapes=made, converged="a", verified="a")
    assert [action.kind for action in plan(Wanted(wanted, "b"), observed)] == ["converge", "verify"]
