"""A lab with login nodes: groups, MPI as the default of srun, and compute nodes that are for jobs."""

from __future__ import annotations

from typing import Any

import yaml
from render_layouts import a_layout, secrets

from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.render import connection
from labctl.render.graph import topology
from labctl.render.graph.text import text
from labctl.render.inventory import HOSTS, MAIN, inventory
from labctl.render.layout import Layout

NODE = {"name": "login-0", "roles": ["login"]}


def lab(preset: str = "multi-node", *more: dict[str, Any]) -> Layout:
    data = load(preset).model_dump()
    return a_layout(
        Definition.model_validate(data | {"services": {"login": True}, "nodes": [*data["nodes"], *more]})
    )


def files(layout: Layout) -> dict[str, Any]:
    texts = inventory(layout, secrets(layout.definition))
    return {path: yaml.safe_load(words) for path, words in texts.items()}


def test_a_lab_without_has_nothing_of_them() -> None:
    layout = a_layout("multi-node")
    texts = inventory(layout, secrets(layout.definition))
    assert not [path for path, words in texts.items() if "login" in words or "mpi" in words.lower()]


def test_a_login_node_is_a_client_of_slurm_and_mpi_is_where_jobs_and_srun_are() -> None:
    seen = files(lab("multi-node", NODE))
    found = {group: list(content["hosts"]) for group, content in seen[HOSTS]["all"]["children"].items()}
    assert found["login"] == ["login-0"]
    assert found["mpi"] == ["compute-0", "compute-1", "login-0"]
    for group in ("ldap_client", "nfs_client", "munge", "slurm_common"):
        assert "login-0" in found[group]
    assert seen[MAIN]["slurm_common_config"]["MpiDefault"] == "pmix"
    assert seen[MAIN]["login_install"] is seen[MAIN]["mpi_install"] is False


def test_compute_nodes_are_for_jobs_but_not_one_where_users_log_in() -> None:
    def closed(layout: Layout) -> list[str]:
        parts = files(layout).items()
        return [path for path, content in parts if "host_vars" in path and content.get("slurmd_pam_adopt")]

    assert closed(lab("multi-node", NODE)) == [f"inventory/host_vars/compute-{i}.yml" for i in (0, 1)]
    assert closed(lab("cpu")) == []


def test_users_get_a_key_unless_the_definition_wants_none() -> None:
    assert files(lab("multi-node", NODE))[MAIN]["login_user_keys"] is True
    assert "login_user_keys" not in files(a_layout("multi-node"))[MAIN]
    data = load("multi-node").model_dump()
    without = data | {"services": {"login": True}, "vars": {"login_user_keys": False}}
    assert files(a_layout(Definition.model_validate(without)))[MAIN]["login_user_keys"] is False


def test_clients_are_told_to_log_in_there() -> None:
    layout = lab("multi-node", NODE)
    to = connection.connection(layout)
    (address,) = [str(machine.address) for machine in layout.machines if machine.node.name == "login-0"]
    assert (to.hostname, to.login, to.controller) == (address, "login-0", "slurmctld-0")
    without = connection.connection(a_layout("multi-node"))
    assert (without.login, without.controller) == ("slurmctld-0", "slurmctld-0")


def test_a_picture_names_it() -> None:
    picture = text(topology.topology(lab("multi-node", NODE).definition)).splitlines()
    assert any("login-0" in line and "login node" in line for line in picture)
