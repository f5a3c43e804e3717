"""Jobs of an LDAP user: they run where and as asked, and cannot take more than they asked for."""

from __future__ import annotations

import pytest
from clusterfacts.answers import Sections, records
from clusterfacts.topology import Topology, User

# How sbatch refuses what no node has: in the words of select/cons_tres and of Slurm's limits.
TOO_MUCH = (
    "not available",
    "can not be satisfied",
    "cannot be satisfied",
    "More processors requested than permitted",
)
pytestmark = pytest.mark.needs("slurmctld", "slurmd")


def job(jobs: Sections, name: str) -> dict[str, str]:
    """What ``scontrol show job`` says of a job of the suite; fails the test where it was refused."""
    code, _, said = jobs[f"submit {name}"].partition("\n")
    assert code != "-", f"the job {name} was {said}"
    assert code == "0", f"sbatch refused the job {name} ({code}): {said}"
    number = jobs[f"id {name}"].strip()
    found = [
        entry
        for entry in records(jobs.lines("show"))
        if number in (entry.get("JobId"), entry.get("ArrayJobId"))
    ]
    assert found, f"Slurm has forgotten the job {name} ({number}): is MinJobAge too short? {jobs['show']}"
    return found[0]


def completed(jobs: Sections, name: str) -> dict[str, str]:
    """The same of a job that must have ended well; all tests that look at what it wrote fail in the same words."""
    seen = job(jobs, name)
    where = seen.get("NodeList", "").replace("(null)", "") or seen.get("ReqNodeList", "no node")
    assert seen["JobState"] == "COMPLETED", (
        f"{where}: the job {name} is {seen['JobState']}, expected COMPLETED; Slurm's reason: {seen.get('Reason')}"
    )
    return seen


@pytest.mark.job
@pytest.mark.needs("slurmctld")
def test_srun_over_all_nodes(topology: Topology, jobs: Sections, partition: str) -> None:
    expected = next(set(one.nodes) for one in topology.partitions if one.name == partition)
    code, said = jobs[f"srun {partition} code"].strip(), jobs[f"srun {partition} err"]
    assert code != "-", f"srun over partition {partition} was {said}"
    assert code == "0", f"srun over partition {partition} ended with {code}: {said}"
    seen = {line.split()[0] for line in jobs.lines(f"srun {partition} out")}
    assert seen == expected, (
        f"srun over partition {partition} ran on {sorted(seen)}, expected {sorted(expected)}"
    )


def test_all_jobs_end_in_time(jobs: Sections) -> None:
    assert not jobs["late"], f"these jobs have not ended in time (--jobs-deadline):\n{jobs['late']}"


def test_research_job_completes(jobs: Sections) -> None:
    completed(jobs, "research")


def test_research_job_is_as_asked(topology: Topology, user: User, jobs: Sections) -> None:
    seen = job(jobs, "research")
    default = topology.default_partition
    expected = {
        "JobName": "research",
        "Partition": default.name if default else "",
        "NumNodes": "1",
        "NumTasks": "1",
        "MinMemoryNode": jobs["asked"].split()[-1],
        "TimeLimit": "00:01:00",  # Slurm counts in minutes: 30 s become one
    }
    got = {key: seen.get(key) for key in expected}
    assert got == expected, f"the research job has {got}, expected {expected}"
    assert seen["UserId"].split("(")[0] == user.name, (
        f"the research job belongs to {seen['UserId']}, expected {user.name}"
    )
    assert seen["StdOut"].endswith("/research.out"), (
        f"the research job writes to {seen['StdOut']}, expected research.out"
    )
    assert seen["StdErr"].endswith("/research.err"), (
        f"the research job's errors go to {seen['StdErr']}, expected research.err"
    )


def test_research_job_writes_its_output_into_the_home(topology: Topology, user: User, jobs: Sections) -> None:
    completed(jobs, "research")
    seen, errors = jobs["file research.out"], jobs["file research.err"]
    assert seen == "I love doing research!", (
        f"{topology.controller}: research.out reads {seen!r}; research.err: {errors!r}"
    )
    assert errors == "", f"{topology.controller}: research.err should be empty, but reads {errors!r}"
    owner = jobs["owner"].split()
    assert owner[:1] == [user.name], (
        f"{topology.controller}: research.out belongs to {jobs['owner']}, expected {user.name}"
    )


@pytest.mark.needs("nfs_server")
def test_jobs_are_submitted_from_a_home_on_nfs(topology: Topology, jobs: Sections) -> None:
    if topology.controller in topology.nodes("nfs_server"):
        pytest.skip("the controller is the NFS server")
    seen = jobs["filesystem"].strip()
    assert seen == "nfs", f"{topology.controller}: the home is on {seen}, expected nfs"


@pytest.mark.parametrize("task", [0, 1, 2])
def test_job_array(jobs: Sections, task: int) -> None:
    completed(jobs, "array")
    seen = jobs[f"file array-{task}.out"].splitlines()
    assert seen[:1] == [f"task {task}"], f"task {task} of the job array wrote {seen}, expected 'task {task}'"


@pytest.mark.parametrize("task", [0, 1, 2])
def test_job_uses_only_the_cores_it_was_given(jobs: Sections, task: int) -> None:
    completed(jobs, "array")
    seen = jobs.table(f"file array-{task}.out")
    given, usable = seen.get("given", ["?"])[0], seen.get("usable", ["nothing"])[0]
    assert usable == given, (
        f"a job that was given {given} CPUs can use {usable}: ConstrainCores does not work"
    )


def test_job_is_in_a_cgroup_of_its_own(jobs: Sections) -> None:
    number = completed(jobs, "array")["JobId"]
    seen = [" ".join(jobs.table(f"file array-{task}.out").get("cgroup", [])) for task in (0, 1, 2)]
    assert any(path.startswith("0::") and f"/job_{number}/" in path for path in seen), (
        f"job {number} of the array runs in the cgroup {seen}, expected one of cgroup v2 with /job_{number}/"
    )


def test_job_over_its_memory_is_killed(jobs: Sections) -> None:
    seen = job(jobs, "greedy")
    assert seen["JobState"] == "OUT_OF_MEMORY", (
        f"{seen.get('NodeList')}: the job that asked for 64 MB and took 400 MB is {seen['JobState']}, "
        "expected OUT_OF_MEMORY"
    )


def test_nodes_outlive_the_jobs(topology: Topology, jobs: Sections) -> None:
    """Also the one whose job was killed; a node may work for somebody else by now."""
    seen = {line.split()[0]: line.split()[1] for line in jobs.lines("after")}
    others = {line.strip() for line in jobs.lines("others")}
    for node in topology.nodes("slurmd"):
        allowed = {"idle", "mixed", "allocated"} if node in others else {"idle"}
        assert seen.get(node) in allowed, f"{node}: is {seen.get(node)} after the jobs, expected idle"


@pytest.mark.parametrize("name", ["too-much-memory", "too-many-cpus"])
def test_job_that_asks_for_more_than_there_is_is_refused(jobs: Sections, name: str) -> None:
    code, _, said = jobs[f"submit {name}"].partition("\n")
    assert code not in ("", "0"), f"sbatch accepted a job that asks for {name.replace('-', ' ')}: {said}"
    assert any(words in said for words in TOO_MUCH), (
        f"sbatch refused {name.replace('-', ' ')} but not because of what there is: {said}"
    )
