"""What ships with labctl is found in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl import resources
from labctl.resources import resource


@pytest.mark.parametrize("name", ["playbooks/site.yml", "roles/munge", "Vagrantfile.j2", "tests/verify"])
def test_in_a_checkout_it_is_beside_the_package(name: str) -> None:
    assert resource(name).exists()
    assert resource(name) == Path(resources.__file__).parent.parent / name


def test_in_an_installed_package_it_is_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labctl" / "_data" / "roles").mkdir(parents=True)
    monkeypatch.setattr(resources.resources, "files", lambda name: tmp_path / name)
    assert resource("roles") == tmp_path / "labctl" / "_data" / "roles"
