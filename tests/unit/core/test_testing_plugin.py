"""The pytest plugin: tests that ask for a cluster get a lab, once, and nothing is left of it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from worlds import World

import labctl.testing.around
import labctl.testing.labs
import labctl.testing.wanted  # noqa: F401 - before the inner runs, which forget what they import
from labctl.errors import ConvergeError, HostError
from labctl.testing.slurm import SlurmBackend

PLUGIN = ("-p", "no:labctl", "-p", "labctl.testing.plugin", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: pytest.Pytester, world: World, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("SLURM_TEST_CLUSTER", raising=False)
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    world.home = pytester.path
    return pytester


def run(project: pytest.Pytester, *words: str) -> pytest.RunResult:
    return project.runpytest_inprocess(*PLUGIN, *words)


def labs(project: pytest.Pytester) -> list[str]:
    return [path.parent.name for path in project.path.glob(".labctl/*/lab.yml")]


def test_pytest_finds_the_plugin() -> None:
    facts = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert facts["project"]["entry-points"]["pytest11"] == {"labctl": "labctl.testing.plugin"}


def test_it_costs_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_it(): pass\n")
    asked = "print([name for name in sys.modules if name.startswith(('libvirt', 'ansible', 'labctl', 'pydantic'))])"
    for words in (["--help"], ["-q", "test_other.py"]):
        code = f"import sys, pytest; pytest.main({[*PLUGIN, *words]!r}); {asked}"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        known = ["labctl", *(f"labctl.testing{one}" for one in ("", ".fixtures", ".hookspecs", ".plugin"))]
        assert sorted(eval(done.stdout.splitlines()[-1])) == known  # noqa: S307


def test_tests_share_a_lab_that_comes_up_once_and_is_gone_afterwards(
    project: pytest.Pytester, world: World
) -> None:
    project.makepyfile(
        test_a="def test_one(slurm_cluster): assert slurm_cluster.nodes('@slurmd') == ('cpu-0',)",
        test_b="def test_two(slurm_cluster): assert slurm_cluster.get_config().partition == 'debug'",
    )
    run(project).assert_outcomes(passed=2)
    done = world.taken()
    assert (done.count("converge"), len([call for call in done if call.startswith("destroy")])) == (1, 1)
    assert labs(project) == []


def test_a_lab_that_is_kept_is_used_again_and_the_next_run_removes_it(
    project: pytest.Pytester, world: World
) -> None:
    project.makepyfile("def test_it(slurm_cluster): pass")
    run(project, "--labctl-keep").assert_outcomes(passed=1)
    assert len(labs(project)) == 1
    world.taken()
    run(project).assert_outcomes(passed=1)
    assert "converge" not in world.calls
    assert labs(project) == []


def test_a_lab_that_does_not_come_up_fails_once_with_the_reason(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def converge(*_: object, log: Path, **__: object) -> None:
        tries.append(log.write_text("TASK [slurmctld]"))
        raise ConvergeError("slurmctld: a task failed", why="no such file", hint="look there")

    monkeypatch.setattr("labctl.work.converge", converge)
    project.makepyfile(
        test_a="def test_one(slurm_cluster): pass\ndef test_two(slurm_cluster): pass",
        test_b="def test_three(slurm_cluster): pass\ndef test_other(): pass",
    )
    result = run(project, "-rs")
    result.assert_outcomes(errors=1, skipped=2, passed=1)
    result.stdout.fnmatch_lines(
        ["slurmctld: a task failed", "no such file", "look there", "its logs: *labctl-logs*"]
    )
    result.stdout.fnmatch_lines(["*did not come up, as was said before: slurmctld: a task failed*"])
    (kept,) = project.path.glob("labctl-logs/pytest-cpu-*/converge.log")
    assert (len(tries), kept.read_text(), labs(project)) == (1, "TASK [slurmctld]", [])


def test_where_no_lab_can_run_tests_are_skipped_with_the_reason_and_the_fix(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def require(*_: object) -> None:
        raise HostError(
            "this host cannot run the lab", why="libvirt: is not there", hint="labctl doctor --fix"
        )

    monkeypatch.setattr("labctl.host.require", require)
    project.makepyfile("def test_it(slurm_cluster): pass")
    result = run(project, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*this host cannot run the lab; libvirt: is not there; labctl doctor --fix"])
    required = run(project, "--labctl-require")
    required.assert_outcomes(errors=1)
    required.stdout.fnmatch_lines(["this host cannot run the lab"])


def test_an_interrupt_leaves_no_lab(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(slurm_cluster): raise KeyboardInterrupt")
    project.inline_run(*PLUGIN, no_reraise_ctrlc=True)
    assert labs(project) == []


def test_an_interrupt_while_a_lab_comes_up_leaves_none(project: pytest.Pytester, world: World) -> None:
    world.failing("converge", KeyboardInterrupt())
    project.makepyfile("def test_it(slurm_cluster): pass")
    project.inline_run(*PLUGIN, no_reraise_ctrlc=True)
    assert "converge" in world.calls
    assert labs(project) == []


def test_integration_tests_are_run_when_they_are_asked_for(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\n@pytest.mark.integration_test\ndef test_it(): pass")
    run(project).assert_outcomes(skipped=1)
    run(project, "--run-integration").assert_outcomes(passed=1)


def test_a_project_s_own_option_and_marker_stay_its_own(project: pytest.Pytester) -> None:
    project.makepyfile("import pytest\n@pytest.mark.integration_test\ndef test_it(): pass")
    project.makeini("[pytest]\nmarkers =\n    integration_test: of the project\n")
    run(project).assert_outcomes(passed=1)
    project.makeini("[pytest]\n")
    project.makeconftest("def pytest_addoption(parser): parser.addoption('--run-integration', default='x')")
    run(project, "--run-integration=y").assert_outcomes(passed=1)


def test_a_matrix_runs_a_test_on_each_lab_under_a_name_of_its_own(
    project: pytest.Pytester, world: World
) -> None:
    project.makepyfile(
        """
        import pytest
        @pytest.mark.labctl_matrix(preset=["cpu", "multi-node"], memory_per_node=[1024])
        def test_it(slurm_cluster): print(slurm_cluster.nodes("all"))
        """
    )
    result = run(project, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*test_it[[]preset=cpu,memory_per_node=1024] PASSED*",
            "*test_it[[]preset=multi-node,memory_per_node=1024] PASSED*",
        ]
    )
    assert world.taken().count("converge") == 2
    assert labs(project) == []


@pytest.mark.parametrize(
    ("marker", "words"),
    [("boxes=['a']", "labctl_matrix has no boxes"), ("box='debian-12'", "box needs a list of values")],
)
def test_a_matrix_that_makes_no_sense_is_refused(project: pytest.Pytester, marker: str, words: str) -> None:
    project.makepyfile(
        f"import pytest\n@pytest.mark.labctl_matrix({marker})\ndef test_it(slurm_cluster): pass"
    )
    result = run(project)
    assert words in result.stdout.str() + result.stderr.str()
    assert result.ret != 0


def test_a_test_that_hangs_is_cut_off_and_its_jobs_are_cancelled(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = []
    monkeypatch.setattr(SlurmBackend, "submit", lambda *_: "7")
    monkeypatch.setattr(SlurmBackend, "cancel", lambda _, job: cancelled.append(job))
    monkeypatch.setattr("labctl.testing.around.collect", lambda *_: [])
    project.makepyfile(
        """
        import signal, pytest
        @pytest.mark.labctl(timeout=600)
        def test_it(slurm_cluster):
            slurm_cluster.submit("sleep 3600")
            signal.raise_signal(signal.SIGALRM)
        """
    )
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*the test did not end within 600 s*", "*-- Slurm jobs --*", "*job 7: was not waited for*"]
    )
    assert cancelled == ["7"]


def test_a_test_that_fails_names_the_nodes_logs(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collect(cluster: object, since: float, folder: Path) -> list[Path]:
        del cluster, since
        return [folder / "cpu-0.log"]

    monkeypatch.setattr("labctl.testing.around.collect", collect)
    project.makepyfile(test_a="def test_it(slurm_cluster): assert False\ndef test_that(slurm_cluster): pass")
    result = run(project, "--labctl-logs", "kept")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*-- logs of nodes --*", "*/kept/test_a.py_test_it/cpu-0.log"])


def test_the_project_s_hooks_are_called(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        from pathlib import Path
        def note(*words):
            with Path("noted").open("a") as stream: print(*words, file=stream)
        def pytest_labctl_before_start(cluster): note("before_start")
        def pytest_labctl_after_start(cluster): note("after_start", *cluster.nodes())
        def pytest_labctl_before_stop(cluster): note("before_stop")
        def pytest_labctl_before_test(cluster, item): note("before", item.name)
        def pytest_labctl_after_test(cluster, item): note("after", item.name)
        """
    )
    project.makepyfile(
        """
        import pytest
        from conftest import note
        @pytest.fixture(scope="session", autouse=True)
        def own(slurm_cluster):
            slurm_cluster.hook("before_test")(lambda cluster: note("own before"))
            slurm_cluster.hook("after_test")(lambda cluster: note("own after"))
        def test_it(slurm_cluster): assert 0
        """
    )
    run(project).assert_outcomes(failed=1)
    assert (project.path / "noted").read_text().splitlines() == [
        *("before_start", "after_start cpu-0", "before test_it", "own before"),
        *("own after", "after test_it", "before_stop"),
    ]


def test_a_hook_that_fails_fails_the_lab(project: pytest.Pytester) -> None:
    project.makeconftest("def pytest_labctl_after_start(cluster): raise RuntimeError('no such package')")
    project.makepyfile("def test_it(slurm_cluster): pass\ndef test_that(slurm_cluster): pass")
    result = run(project)
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*no such package*"])
    assert labs(project) == []


def test_the_lab_that_the_user_names_is_used_and_left_alone(
    project: pytest.Pytester, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makepyfile("def test_it(slurm_cluster): pass")
    run(project, "--labctl-keep")
    (name,) = labs(project)
    monkeypatch.setenv("SLURM_TEST_CLUSTER", name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(project.path / "fresh"))
    world.taken()
    project.makepyfile(
        f"""
        import pytest
        def test_one(slurm_cluster): assert slurm_cluster.name == {name!r}
        def test_facts(slurm_cluster_config): assert slurm_cluster_config.cluster == {name!r}
        def test_more(slurm_cluster_multi): pass
        @pytest.mark.labctl(reset=True)
        def test_reset(slurm_cluster): pass
        @pytest.mark.labctl_matrix(box=["debian-12"])
        def test_box(slurm_cluster): pass
        """
    )
    result = run(project, "-rs")
    result.assert_outcomes(passed=2, skipped=3)
    result.stdout.fnmatch_lines_random(
        [
            "*it has 1 nodes that compute, and multi-node has 2; unset SLURM_TEST_CLUSTER",
            "*resets its lab, and*is yours*",
            "*the test wants a lab of its own: cpu, box=debian-12; unset SLURM_TEST_CLUSTER",
        ]
    )
    assert world.taken() == []
    assert labs(project) == [name]


def test_facts_are_there_where_no_lab_is(project: pytest.Pytester, world: World) -> None:
    project.makepyfile("def test_it(slurm_cluster_config): assert slurm_cluster_config.partition == 'debug'")
    run(project).assert_outcomes(passed=1)
    assert world.calls == []


def test_a_lab_is_reset_once_for_what_is_marked_and_only_if_it_was_used(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    resets = []
    monkeypatch.setattr("labctl.testing.lab_cluster.TestCluster.reset", lambda it: resets.append(it.name))
    project.makepyfile(
        test_a="def test_one(slurm_cluster): pass",
        test_b="""
        import pytest
        pytestmark = pytest.mark.labctl(reset=True)
        def test_two(slurm_cluster): pass
        def test_three(slurm_cluster): pass
        @pytest.mark.labctl(reset=True)
        def test_four(slurm_cluster): pass
        """,
        test_c="def test_five(slurm_cluster): pass",
    )
    run(project).assert_outcomes(passed=5)
    assert len(resets) == 2
    resets.clear()
    run(project, "test_b.py::test_two").assert_outcomes(passed=1)
    assert resets == []


def test_workers_share_a_lab(project: pytest.Pytester) -> None:
    """In processes of their own: with a lab that is a line in a file."""
    project.makeconftest(
        """
        from pathlib import Path
        from labctl.lab import Lab
        def note(word):
            with Path("noted").open("a") as stream: print(word, file=stream)
        def up(self, reporter):
            note("up")
            self.directory.mkdir(parents=True)
            (self.directory / "lab.yml").write_text("name: x\\n")
        def destroy(self, reporter):
            note("destroy")
            (self.directory / "lab.yml").unlink()
        Lab.up, Lab.destroy, Lab.plan = up, destroy, lambda self: ()
        """
    )
    project.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_it(slurm_cluster, n): pass"
    )
    result = project.runpytest_subprocess(*PLUGIN, "-n", "2", timeout=300)
    result.assert_outcomes(passed=4)
    assert (project.path / "noted").read_text().splitlines() == ["up", "destroy"]
