"""Containers: an image goes to the registry and comes back, jobs run in it, and what is wrong is refused."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections
from clusterfacts.topology import User

pytestmark = pytest.mark.needs("containers", "slurmctld", "slurmd")
with_registry = pytest.mark.needs("registry")
MARK = "ID=verify-containers"


def ended(containers: Sections, name: str) -> tuple[str, str]:
    """The exit code of a command, and what it said; nothing where it was not come to."""
    code, _, said = containers[name].partition("\n")
    return code, said.strip()


def test_user_makes_an_image_from_files(user: User, containers: Sections) -> None:
    code, said = ended(containers, "make")
    assert code == "0", f"{user.name} could not make an image: {said or containers['stderr']}"


@with_registry
def test_image_goes_to_the_registry_and_comes_back(containers: Sections) -> None:
    for way in ("push", "pull"):
        code, said = ended(containers, way)
        assert code == "0", f"skopeo could not {way} an image: {said}"


@with_registry
def test_image_that_does_not_exist_is_refused(containers: Sections) -> None:
    code, said = ended(containers, "unknown")
    assert code not in ("", "0"), f"the registry gave an image that it does not have: {said}"
    assert "manifest unknown" in said, (
        f"an image that does not exist was refused, but for another reason: {said}"
    )


@with_registry
def test_client_that_does_not_trust_the_authority_is_refused(containers: Sections) -> None:
    code, said = ended(containers, "untrusted")
    assert code not in ("", "0"), f"a client that trusts no authority was served: {said}"
    assert "x509" in said, (
        f"a client that trusts no authority did not get an image, but for another reason: {said}"
    )


def test_job_in_a_container_sees_the_images_own_files(containers: Sections) -> None:
    _, said = ended(containers, "job")
    assert MARK in said, f"the job did not see the image's /etc/os-release: {said}"
    assert "no files of the node" in said, f"the job sees /etc/slurm/slurm.conf of the node: {said}"


def test_job_in_a_container_knows_its_job_and_its_exit_code_is_srun_s(containers: Sections) -> None:
    code, said = ended(containers, "job")
    number = next((line.split()[1:] for line in said.splitlines() if line.startswith("job")), [])
    assert number, f"SLURM_JOB_ID is not set in the container: {said}"
    assert code == "7", f"a job in a container ended with 7, and srun with {code}: {said}"


def test_job_in_a_bundle_that_does_not_exist_fails(containers: Sections) -> None:
    code, said = ended(containers, "nowhere")
    assert code not in ("", "0"), f"a job in a container that does not exist ran: {said}"
    assert "ran" not in said.split(), (
        f"a job in a container that does not exist ran on the node itself: {said}"
    )
