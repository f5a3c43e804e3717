"""A lab with a registry: its certificate is the lab's, and every place of work trusts it by both of its names."""

from __future__ import annotations

from typing import Any

import yaml
from render_layouts import PEM, a_layout, secrets

from labctl.definition.loading import load
from labctl.render.inventory import HOSTS, MAIN, SECRETS, inventory


def files(preset: str, *overrides: str) -> dict[str, Any]:
    layout = a_layout(load(preset, overrides=list(overrides)))
    texts = inventory(layout, secrets(layout.definition))
    return {path: yaml.safe_load(text) for path, text in texts.items()}


def members(found: dict[str, Any], group: str) -> list[str]:
    return list(found[HOSTS]["all"]["children"].get(group, {}).get("hosts", []))


def test_a_lab_without_services_has_nothing_of_them() -> None:
    found = files("mini-hpc")
    assert members(found, "registry") == members(found, "containers") == []
    assert not [name for name in found[MAIN] if name.startswith(("registry", "containers"))]


def test_a_registry_has_a_certificate_whose_key_is_a_secret() -> None:
    found = files("full")
    assert members(found, "registry") == ["slurmctld-0"]
    assert found[MAIN]["registry_certificate"] == PEM
    assert "PRIVATE KEY" in found[SECRETS]["registry_key"]


def test_whoever_makes_and_runs_jobs_trusts_it_by_name_and_by_address() -> None:
    found = files("full", "vars.registry_port=5555")
    assert members(found, "containers") == ["slurmctld-0", "login-0", "cpu-0", "cpu-1", "gpu-0"]
    trusted = found[MAIN]["containers_registries"]
    assert trusted == [{"host": host, "ca": PEM} for host in ("slurmctld-0:5555", "10.20.30.12:5555")]


def test_a_registry_of_the_users_own_is_trusted_besides() -> None:
    mine = 'vars.containers_registries=[{host: "mine:5000", ca: x}]'
    hosts = [
        entry["host"] for entry in files("cpu", "services.registry=true", mine)[MAIN]["containers_registries"]
    ]
    assert hosts == ["cpu-0:5000", "10.20.30.10:5000", "mine:5000"]


def test_bundles_have_a_place_that_is_open_to_all_where_there_are_containers() -> None:
    place = {"path": "/data/bundles", "owner": "root", "group": "root", "mode": "1777"}
    with_them, without = files("mini-hpc", "services.containers=true")[MAIN], files("mini-hpc")[MAIN]
    assert place in with_them["nfs_server_directories"]
    assert with_them["verify_bundles"] == place["path"]
    assert place not in without["nfs_server_directories"]
    assert "verify_bundles" not in without


def test_containers_alone_need_to_be_told_nothing_but_where() -> None:
    found = files("cpu", "services.containers=true")
    assert members(found, "containers") == ["cpu-0"]
    assert "containers_registries" not in found[MAIN]


def test_pyxis_is_a_group_of_its_own_beside_containers_or_without_them() -> None:
    found = files("multi-node", "services.pyxis=true")
    assert members(found, "pyxis") == ["slurmctld-0", "compute-0", "compute-1"]
    assert members(found, "containers") == []
    assert found[MAIN]["pyxis_install"] is False  # the box has the packages
    assert members(files("full"), "pyxis") == []
