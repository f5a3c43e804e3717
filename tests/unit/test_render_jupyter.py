"""A lab with Jupyter: the hub on a login node, JupyterLab wherever it serves, and where its page is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from render_layouts import a_layout, secrets

from labctl.definition.loading import load
from labctl.definition.models import Definition
from labctl.errors import UsageError
from labctl.render import jupyter
from labctl.render.inventory import HOSTS, MAIN, inventory
from labctl.render.jupyter import Page
from labctl.render.layout import Layout
from labctl.services import look

ON = "services.jupyter=true"


def files(layout: Layout) -> dict[str, Any]:
    texts = inventory(layout, secrets(layout.definition))
    return {path: yaml.safe_load(words) for path, words in texts.items()}


def members(layout: Layout) -> dict[str, list[str]]:
    children = files(layout)[HOSTS]["all"]["children"]
    return {group: list(content["hosts"]) for group, content in children.items()}


def test_a_lab_without_has_nothing_of_it() -> None:
    layout = a_layout("multi-node")
    texts = inventory(layout, secrets(layout.definition))
    assert not [path for path, words in texts.items() if "jupyter" in words]
    assert jupyter.page(layout) is None


def test_the_hub_is_on_a_login_node_and_jupyterlab_there_and_where_jobs_run() -> None:
    layout = a_layout("full")
    found = members(layout)
    assert found["jupyterhub"] == ["login-0"]
    assert found["jupyterlab"] == ["login-0", "cpu-0", "cpu-1", "gpu-0"]
    main = files(layout)[MAIN]
    assert main["jupyterhub_install"] is main["jupyterlab_install"] is False  # the box has it


def test_a_hub_on_a_node_of_its_own_submits_jobs_for_users_with_homes() -> None:
    nodes = [*load("multi-node").model_dump()["nodes"], {"name": "hub-0", "roles": ["jupyterhub"]}]
    data = load("multi-node", overrides=[ON]).model_dump() | {"nodes": nodes}
    found = members(a_layout(Definition.model_validate(data)))
    assert found["jupyterhub"] == ["hub-0"]
    assert found["jupyterlab"] == ["compute-0", "compute-1", "hub-0"]
    for group in ("munge", "slurm_common", "ldap_client", "nfs_client"):
        assert "hub-0" in found[group], group


def test_users_choose_from_all_partitions_and_the_default_one_comes_first() -> None:
    assert files(a_layout("full"))[MAIN]["jupyterhub_partitions"] == ["cpu", "gpu"]
    other = ["partitions.cpu.default=false", "partitions.gpu.default=true"]
    layout = a_layout(load("full", overrides=other))
    assert files(layout)[MAIN]["jupyterhub_partitions"] == ["gpu", "cpu"]
    own = a_layout(load("full", overrides=["vars.jupyterhub_partitions=[gpu]"]))
    assert files(own)[MAIN]["jupyterhub_partitions"] == ["gpu"]


def test_its_page_is_on_the_hubs_loopback_at_the_definitions_port() -> None:
    assert jupyter.page(a_layout("full")) == Page("login-0", 8000)
    for given in ("9000", '"9000"'):
        lab = load("multi-node", overrides=[ON, f"vars.jupyterhub_port={given}"])
        assert jupyter.page(a_layout(lab)) == Page("slurmctld-0", 9000)


def test_a_port_that_only_ansible_can_read_is_told_as_such() -> None:
    lab = load("full", overrides=["vars.jupyterhub_port='{{ mine }}'"])
    with pytest.raises(UsageError, match="jupyterhub_port is not known here") as refused:
        jupyter.page(a_layout(lab))
    assert "{{ mine }}" in refused.value.why
    look(lab, [], {}, lambda *_: pytest.fail("nobody is asked"))  # the rest of the lab can be looked at


def test_a_hub_that_serves_browsers_over_tls_is_opened_there() -> None:
    layout = a_layout(load("full", overrides=["vars.jupyterhub_tls_address=10.0.0.1"]))
    with pytest.raises(UsageError) as refusal:
        jupyter.page(layout)
    assert refusal.value.hint == "https://10.0.0.1:8000"


def test_a_notebook_has_room_for_a_kernel_and_no_more_than_half_of_the_smallest_node() -> None:
    assert files(a_layout("full"))[MAIN]["jupyterhub_job"] == {"memory": "512M"}
    small = a_layout(load("full", overrides=["nodes.cpu-1.memory=600"]))
    assert files(small)[MAIN]["jupyterhub_job"] == {"memory": "300M"}
