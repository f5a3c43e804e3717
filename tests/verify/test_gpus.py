"""GPUs: a job sees those it asked for, and no other one."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections, indices
from clusterfacts.gpus import GpuJob, gpu_job
from clusterfacts.topology import Topology
from test_jobs import completed

pytestmark = pytest.mark.needs("slurmctld", "slurmd")
FORBIDDEN = "Operation not permitted"  # EPERM: what the device controller of a cgroup answers
VENDORS = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "GPU_DEVICE_ORDINAL")


@pytest.fixture
def gpu(topology: Topology) -> GpuJob:
    found = gpu_job(topology)
    if found is None:
        pytest.skip("the inventory gives no node of a partition a GPU")
    return found


def environment(jobs: Sections, name: str) -> dict[str, str]:
    """The GPU variables that a job saw."""
    completed(jobs, name)
    pairs = (line.partition("=") for line in jobs.lines(f"file {name}.out") if "=" in line.split()[0])
    return {key: value for key, _, value in pairs}


def devices(jobs: Sections, name: str) -> dict[str, str]:
    """How opening each GPU's device ended in a job."""
    completed(jobs, name)
    rows = (line.split(" ", 2) for line in jobs.lines(f"file {name}.out") if line.startswith("device "))
    return {row[1]: row[2] for row in rows}


@pytest.mark.usefixtures("gpu")
def test_gpu_job_completes(jobs: Sections) -> None:
    completed(jobs, "gpu")


@pytest.mark.parametrize("name", ["SLURM_GPUS", "SLURM_GPUS_ON_NODE"])
def test_gpu_job_is_told_how_many_gpus_it_has(gpu: GpuJob, jobs: Sections, name: str) -> None:
    seen = environment(jobs, "gpu")
    assert seen.get(name) == str(gpu.asked), f"{gpu.node}: a job sees {seen}, expected {name}={gpu.asked}"


def test_gpu_job_is_told_which_gpus_it_has(gpu: GpuJob, jobs: Sections) -> None:
    seen = environment(jobs, "gpu").get("SLURM_JOB_GPUS", "")
    given = indices(seen)
    assert len(given) == gpu.asked, f"{gpu.node}: SLURM_JOB_GPUS={seen!r} of a job with {gpu.asked} GPUs"
    assert max(given) < gpu.count, f"{gpu.node} has {gpu.count} GPUs, but SLURM_JOB_GPUS={seen!r}"


@pytest.mark.parametrize("name", ["gpu", "no-gpu"])
def test_fake_gpus_set_no_variable_of_a_vendor(gpu: GpuJob, jobs: Sections, name: str) -> None:
    if not gpu.fake:
        pytest.skip(f"the GPUs of {gpu.node} are real")
    seen = [key for key in environment(jobs, name) if key in VENDORS]
    assert not seen, f"{gpu.node}: a job sees {seen}, expected none with fake GPUs (Flags=no_gpu_env)"


def test_job_opens_only_the_gpus_it_has(gpu: GpuJob, jobs: Sections) -> None:
    if not gpu.devices:
        pytest.skip(f"the inventory names no device files of the GPUs of {gpu.node}")
    given = indices(environment(jobs, "gpu").get("SLURM_JOB_GPUS", ""))
    seen = devices(jobs, "gpu")
    for number, device in enumerate(gpu.devices):
        got = seen.get(device, "nothing")
        if number in given:
            closed = got in (FORBIDDEN, "Permission denied", "nothing")
            assert not closed, f"{gpu.node}: a job cannot open its own {device}: {got}"
        else:
            assert got == FORBIDDEN, (
                f"{gpu.node}: a job with the GPUs {given} tried {device}: {got}; expected: {FORBIDDEN}"
            )


def test_job_without_gpus_opens_none(gpu: GpuJob, jobs: Sections) -> None:
    if not gpu.devices:
        pytest.skip(f"the inventory names no device files of the GPUs of {gpu.node}")
    seen = devices(jobs, "no-gpu")
    for device in gpu.devices:
        got = seen.get(device, "nothing")
        assert got == FORBIDDEN, (
            f"{gpu.node}: a job without GPUs tried {device}: {got}; expected: {FORBIDDEN}"
        )


def test_job_that_asks_for_a_gpu_too_many_is_refused(gpu: GpuJob, jobs: Sections) -> None:
    code, _, said = jobs["submit too-many-gpus"].partition("\n")
    assert code not in ("", "0"), (
        f"sbatch accepted a job that asks for {gpu.most + 1} GPUs of {gpu.most}: {said}"
    )
    because = "not available" in said or "Invalid generic resource" in said
    assert because, f"sbatch refused {gpu.most + 1} GPUs of {gpu.most}, but because of: {said}"
