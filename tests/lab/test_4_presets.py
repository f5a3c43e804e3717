"""A second preset of six machines comes up and is proven; and users' values reach the daemons."""

from __future__ import annotations

from conftest import User


def test_mini_hpc_comes_up_and_is_proven(user: User) -> None:
    try:
        said = user.ok("up", "mini-hpc")
        assert "verified:" in said.out
        assert user.ok("status", "--name", "mini-hpc", "--json").json()["problems"] == []
        _has_the_values_of_the_tutorial(user)
    finally:
        user("destroy", "mini-hpc")


def _has_the_values_of_the_tutorial(user: User) -> None:
    config = user.ok(
        "ssh", "--name", "mini-hpc", "slurmctld-0", "--", "scontrol show config; scontrol show partition all"
    ).out
    seen = {" ".join(line.split()) for line in config.splitlines()}
    for line in (
        "SlurmctldPort = 7002",
        "SlurmdPort = 7003",
        "FirstJobId = 65536",
        "MinJobAge = 3600 sec",
        "MaxJobCount = 10000",
    ):
        assert line in seen, line
    assert "MaxNodes=3" in config
    batch = "sbatch --wait --output=research.out --wrap 'echo I love doing research!'"
    job = f"cd /data/nucci && {batch} && cat research.out"
    assert (
        "I love doing research!"
        in user.ok("ssh", "--name", "mini-hpc", "-l", "nucci", "slurmctld-0", "--", job).out
    )
