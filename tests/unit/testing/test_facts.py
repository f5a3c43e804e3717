"""Facts of labs that are nowhere, and the file that is made of them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from labctl.testing import create_slurmfile, default_test_config, gpu_test_config


def test_the_default_is_one_node_with_a_partition_debug() -> None:
    config = default_test_config()
    assert [(node.name, node.cpus, node.gpus) for node in config.nodes] == [("cpu-0", 4, 0)]
    assert (config.partition, config.username, config.port) == ("debug", "nucci", 22)
    assert not config.key_filename.exists()


@pytest.mark.parametrize("gpus", [1, 4])
def test_gpus_are_as_many_as_are_asked_for(gpus: int) -> None:
    config = gpu_test_config(gpus=gpus)
    assert config.nodes[0].gpus == gpus
    assert [one.name for one in config.partitions] == ["debug", "gpu"]


def test_a_slurmfile_goes_into_a_folder_or_where_it_is_said(tmp_path: Path) -> None:
    config = default_test_config()
    assert create_slurmfile(config, tmp_path) == tmp_path / "Slurmfile.toml"
    elsewhere = create_slurmfile(config, tmp_path / "other.toml")
    told = tomllib.loads(elsewhere.read_text())["default"]["cluster"]
    assert told["backend_config"]["hostname"] == config.hostname
    assert told["partitions"] == ["debug"]
