"""Pyxis: srun has its options, a job runs in an image that a user made, and an image that is not there is refused."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections
from clusterfacts.topology import User

pytestmark = pytest.mark.needs("pyxis", "slurmctld", "slurmd")
MARK = "ID=verify-pyxis"


def ended(pyxis: Sections, name: str) -> tuple[str, str]:
    """The exit code of a command, and what it said; nothing where it was not come to."""
    code, _, said = pyxis[name].partition("\n")
    return code, said.strip()


def test_srun_has_the_options_of_pyxis(pyxis: Sections) -> None:
    _, said = ended(pyxis, "help")
    assert "--container-image" in said, f"srun does not know --container-image: {said[:500]}"


def test_user_makes_an_image_from_files(user: User, pyxis: Sections) -> None:
    code, said = ended(pyxis, "make")
    assert code == "0", f"{user.name} could not make an image with mksquashfs: {said or pyxis['stderr']}"


def test_job_in_an_image_sees_its_files_and_not_the_nodes(pyxis: Sections) -> None:
    _, said = ended(pyxis, "job")
    assert MARK in said, f"the job did not see the image's /etc/os-release: {said}"
    assert "no files of the node" in said, f"the job sees /etc/slurm/slurm.conf of the node: {said}"


def test_job_in_an_image_knows_its_job_and_its_exit_code_is_srun_s(pyxis: Sections) -> None:
    code, said = ended(pyxis, "job")
    number = next((line.split()[1:] for line in said.splitlines() if line.startswith("job")), [])
    assert number, f"SLURM_JOB_ID is not set in the image: {said}"
    assert code == "7", f"a job in an image ended with 7, and srun with {code}: {said}"


def test_job_in_an_image_that_does_not_exist_fails(pyxis: Sections) -> None:
    code, said = ended(pyxis, "nowhere")
    assert code not in ("", "0"), f"a job in an image that does not exist ran: {said}"
    assert "ran" not in said.split(), f"a job in an image that does not exist ran on the node itself: {said}"
    assert "pyxis" in said, f"an image that does not exist was refused, but not by pyxis: {said}"
