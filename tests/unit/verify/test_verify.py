"""The step verify runs a suite as it is, wherever it lies, and says in words how it went."""

from __future__ import annotations

import io
import os
import signal
import stat
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labctl.console import PlainReporter
from labctl.definition.loading import load
from labctl.errors import VerifyError
from labctl.render.graph.topology import topology
from labctl.render.report.page import About
from labctl.steps import suite
from labctl.steps.verify import Level, SuiteFailed, Through, VerifyResult, stand_by, verify
from labctl.steps.verify_page import Page
from labctl.steps.verify_report import promise, words

CONFTEST = """
import pytest
def pytest_addoption(parser):
    for option in ("--inventory", "--inventory-cache", "--through"):
        parser.addoption(option)
    parser.addoption("--disruptive", action="store_true")
def pytest_generate_tests(metafunc):
    if "node" in metafunc.fixturenames:
        metafunc.parametrize("node", ["cpu-0", "cpu-1"])
"""
PYTEST_INI = """
[pytest]
addopts = --assert=plain --tb=short --strict-markers
markers =
    quick: some
    job: runs a job
    disruptive: reboots
"""


@dataclass
class View:
    """Remembers what it was told."""

    nodes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def node(self, node: str, text: str, state: str = "running") -> None:
        self.nodes.setdefault(node, []).append((state, text))

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Bench:
    """A suite of one file, and what the step was given."""

    folder: Path
    view: View = field(default_factory=View)

    @property
    def suite(self) -> Path:
        return self.folder / "suite"

    @property
    def log(self) -> Path:
        return self.folder / "lab" / "logs" / "verify.log"

    @property
    def junit(self) -> Path:
        return self.folder / "lab" / "logs" / "verify.xml"

    @property
    def page(self) -> Page:
        return Page(self.folder / "lab" / "logs" / "verify.html", About(topology(load("full"))))

    def write(self, tests: str) -> None:
        self.suite.mkdir(exist_ok=True)
        (self.suite / "pytest.ini").write_text(PYTEST_INI)
        (self.suite / "conftest.py").write_text(CONFTEST)
        (self.suite / "test_nfs.py").write_text("import os, time, pytest\n" + tests)

    def run(self, **options: object) -> VerifyResult:
        options = {"view": self.view, "suite": self.suite, "junit": self.junit, "log": self.log} | options
        return verify(self.folder / "hosts.yml", **options)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_passes_and_what_is_skipped_is_counted(bench: Bench) -> None:
    bench.write("""
def test_mounts(node): pass
def test_gpus(): pytest.skip("the inventory has no GPU")
""")
    result = bench.run()
    assert (result.passed, result.failed, result.skipped) == (2, 0, 1)
    assert result.skips == {"test_nfs.py::test_gpus": "the inventory has no GPU"}
    assert result.seconds > 0
    assert bench.view.notes[-1] == "2 passed, 1 skipped"


def test_each_node_shows_how_far_it_is_and_how_it_ended(bench: Bench) -> None:
    bench.write("""
def test_mounts_are_there(node): pass
def test_export(): pass
""")
    bench.run()
    assert bench.view.nodes["cpu-0"] == [("waiting", "1 passed"), ("ok", "1 passed")]
    assert bench.view.nodes["cluster"] == [("waiting", "1 passed"), ("ok", "1 passed")]


def test_plain_lines_are_a_few_however_many_tests_there_are(bench: Bench) -> None:
    bench.write("""
@pytest.mark.parametrize("number", range(50))
def test_mounts(node, number): assert (node, number) not in [("cpu-1", 7), ("cpu-1", 9)], "no\\nmount"
""")
    (bench.suite / "test_jobs.py").write_text("def test_job(): pass\n")
    said = io.StringIO()
    with pytest.raises(SuiteFailed), PlainReporter(said, clock=lambda: 0.0).step("verify") as view:
        bench.run(view=view)
    assert [line.partition("] ")[2] for line in said.getvalue().splitlines()] == [
        "verify: starts",
        "verify: asking 2 nodes for 101 tests",
        "verify: jobs run",
        "verify: cpu-1: failed: nfs: mounts [cpu-1-7]: no",
        "verify: cpu-0: 50 passed",
        "verify: cpu-1: failed: 48 passed, 2 failed, first of all nfs: mounts [cpu-1-7]: no",
        "verify: cluster: 1 passed",
        "verify: 99 passed, 2 failed",
        "verify: FAILED after 0.0 s",
    ]


def test_a_failure_says_test_node_reason_and_what_to_do(bench: Bench) -> None:
    bench.write("""
def test_mounts(node):
    assert node == "cpu-0", f"{node}: /home is on ext4, expected an NFSv4 mount"
""")
    with pytest.raises(SuiteFailed) as caught:
        bench.run()
    error = caught.value
    assert error.what == "1 of 2 tests failed"
    assert error.why == "nfs: mounts [cpu-1]\n  cpu-1: /home is on ext4, expected an NFSv4 mount"
    assert str(bench.log) in error.hint
    assert "labctl verify -k test_mounts" in error.hint
    assert [(one.node, one.message) for one in error.result.failures] == [
        ("cpu-1", "cpu-1: /home is on ext4, expected an NFSv4 mount")
    ]
    assert bench.view.nodes["cpu-1"][-1][0] == "failed"
    assert bench.view.nodes["cpu-0"][-1] == ("ok", "1 passed")
    assert "1 failed, 1 passed" in bench.log.read_text()


def test_a_node_that_failed_stays_failed_on_screen(bench: Bench) -> None:
    bench.write("""
def test_a(node): assert node != "cpu-1", "cpu-1: no"
def test_b(node): pass
""")
    with pytest.raises(SuiteFailed):
        bench.run()
    assert bench.view.nodes["cpu-1"][-1] == ("failed", "nfs: a [cpu-1]: cpu-1: no")


def test_one_cause_is_told_once(bench: Bench) -> None:
    """A node that does not answer fails every test about it, in the fixture."""
    bench.write("""
class NodeError(Exception): pass
@pytest.fixture
def facts(node): raise NodeError("cpu-0 cannot be reached: no route")
def test_a(facts): pass
def test_b(facts): pass
def test_c(): assert False, "other"
""")
    with pytest.raises(SuiteFailed) as caught:
        bench.run()
    assert caught.value.why == (
        "nfs: a [cpu-0] (and 3 more)\n  cpu-0 cannot be reached: no route\nnfs: c\n  other"
    )


def test_not_every_failure_is_listed(bench: Bench) -> None:
    bench.write("""
@pytest.mark.parametrize("number", range(9))
def test_a(number): assert False, f"cause {number}"
""")
    with pytest.raises(SuiteFailed) as caught:
        bench.run()
    assert caught.value.why.endswith("... and 5 other causes")
    assert len(caught.value.result.failures) == 9


@pytest.mark.parametrize(("level", "passed"), [("restored", 1), ("quick", 2), ("full", 3), ("disruptive", 1)])
def test_a_level_chooses_the_tests(bench: Bench, level: Level, passed: int) -> None:
    bench.write("""
@pytest.mark.quick
def test_answers(): pass
@pytest.mark.quick
@pytest.mark.job
def test_job(): pass
def test_mounts(): pass
@pytest.mark.disruptive
def test_reboot(pytestconfig): assert pytestconfig.getoption("--disruptive"), "not told"
""")
    assert bench.run(level=level).passed == passed


def test_nodes_may_be_asked_in_another_way_with_what_that_needs(bench: Bench) -> None:
    bench.write("""
def test_way(pytestconfig):
    assert pytestconfig.getoption("--through") == "module:function", pytestconfig.getoption("--through")
    assert os.environ["PREFIX"] == "labctl_full_"
""")
    assert bench.run(through=Through("module:function", {"PREFIX": "labctl_full_"})).passed == 1
    with pytest.raises(SuiteFailed, match="1 of 1 tests failed"):
        bench.run()


def test_what_ansible_says_of_the_inventory_is_kept_beside_it(bench: Bench) -> None:
    bench.write(f"""
def test_cache(pytestconfig): assert pytestconfig.getoption("--inventory-cache") == "{bench.folder}/.inventory.json"
""")
    assert bench.run().passed == 1


def test_an_expression_chooses_among_them(bench: Bench) -> None:
    bench.write("def test_mounts(node): pass\ndef test_export(): pass\n")
    assert bench.run(expression="mounts and cpu-1").passed == 1


def test_nothing_run_is_not_verified(bench: Bench) -> None:
    bench.write("def test_mounts(node): pass\n")
    with pytest.raises(VerifyError, match="nothing is verified") as caught:
        bench.run(expression="gpus")
    assert caught.value.why == "no test matches 'gpus'"


def test_everything_skipped_is_not_verified(bench: Bench) -> None:
    bench.write("def test_mounts(): pytest.skip('no nfs_server')\n")
    with pytest.raises(VerifyError, match="nothing is verified") as caught:
        bench.run()
    assert caught.value.why == "no nfs_server"


def test_a_suite_that_cannot_run_says_why(bench: Bench) -> None:
    bench.write("raise RuntimeError('broken on import')\n")
    with pytest.raises(VerifyError, match="could not be run") as caught:
        bench.run()
    assert "broken on import" in caught.value.why


def test_a_suite_that_is_stuck_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "GRACE", 1.0)
    bench.write(f"""
def test_stuck():
    import subprocess
    child = subprocess.Popen(["sleep", "300"])
    open("{bench.folder}/child", "w").write(str(child.pid))
    while True:
        try: time.sleep(300)
        except KeyboardInterrupt: pass
""")
    started = time.monotonic()
    with pytest.raises(VerifyError, match="ended after 3 s") as caught:
        bench.run(deadline=3)
    assert time.monotonic() - started < 30
    assert "test_stuck" in caught.value.why
    assert not _alive(int((bench.folder / "child").read_text()))


def test_an_interrupt_lets_the_suite_clean_up(bench: Bench) -> None:
    bench.write(f"""
@pytest.fixture
def shared():
    yield
    open("{bench.folder}/cleaned", "w").close()
def test_long(shared):
    open("{bench.folder}/running", "w").close()
    time.sleep(300)
""")

    def interrupt() -> None:
        while not (bench.folder / "running").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert (bench.folder / "cleaned").exists()


MARKING = """
def pytest_collection_finish(session):
    open("{}/asked", "w").close()
"""


def _standing(bench: Bench) -> AbstractContextManager[suite.Suite]:
    return stand_by(bench.folder / "hosts.yml", suite=bench.suite, junit=bench.junit, log=bench.log)


def test_a_suite_that_stands_by_asks_nothing_before_it_is_told(bench: Bench) -> None:
    bench.write("def test_mounts(node): pass\n")
    (bench.suite / "conftest.py").write_text(CONFTEST + MARKING.format(bench.folder))
    with _standing(bench) as begun:
        while "test session starts" not in bench.log.read_text():
            time.sleep(0.05)
        time.sleep(1)  # what it would do too early, it would do in this time
        assert not (bench.folder / "asked").exists()
        assert bench.run(begun=begun).passed == 2
    assert (bench.folder / "asked").exists()


def test_a_suite_that_stands_by_goes_with_whoever_started_it(bench: Bench) -> None:
    bench.write("def test_mounts(): pass\n")
    started: list[suite.Suite] = []

    def begin_and_fail() -> None:
        with _standing(bench) as begun:
            started.append(begun)
            raise VerifyError("the machines did not come back")

    with pytest.raises(VerifyError, match="did not come back"):
        begin_and_fail()
    assert started[0]._process.returncode is not None
    with _standing(bench) as begun:
        begun._go.close()  # as if we were killed
        assert begun._process.wait(60) == pytest.ExitCode.INTERRUPTED
    assert "has gone" in bench.log.read_text()


def test_what_lies_around_does_not_matter(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another project's pytest.ini, conftest.py and modules, and the user's own environment."""
    bench.write("def test_mounts(): pass\n")
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    for folder in (elsewhere, bench.folder):
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
        (folder / "conftest.py").write_text("raise RuntimeError('not mine')\n")
        (folder / "testinfra.py").write_text("raise RuntimeError('not mine')\n")
        (folder / "json.py").write_text("raise RuntimeError('not mine')\n")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    assert bench.run().passed == 1


def test_nothing_is_written_into_the_suite(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may lie in a folder of the system."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    bench.write("def test_mounts(): pass\n")
    before = sorted(path.name for path in bench.suite.iterdir())
    bench.run()
    assert sorted(path.name for path in bench.suite.iterdir()) == before


def test_the_junit_file_has_every_test(bench: Bench) -> None:
    bench.write("def test_mounts(node): pass\ndef test_bad(): assert False, 'cpu-0: words'\n")
    with pytest.raises(SuiteFailed):
        bench.run()
    root = ElementTree.parse(bench.junit).getroot()  # noqa: S314 - our own
    assert len(root.findall(".//testcase")) == 3
    assert root.find(".//failure").get("message") == "AssertionError: cpu-0: words"  # type: ignore[union-attr]


def test_the_log_is_made_anew_and_private(bench: Bench) -> None:
    bench.write("def test_mounts(): pass\n")
    bench.log.parent.mkdir(parents=True)
    bench.log.write_text("of yesterday")
    bench.run()
    assert "of yesterday" not in bench.log.read_text()
    assert stat.S_IMODE(bench.log.stat().st_mode) == 0o600


def test_a_test_is_told_in_words() -> None:
    assert words("sub/test_ldap.py::test_every_user_resolves[cpu-0]") == "ldap: every user resolves [cpu-0]"
    assert words("test_ldap.py::test_it") == "ldap: it"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_report_is_written_and_the_hint_names_it_when_tests_fail(bench: Bench) -> None:
    bench.write("""
def test_mounts(node): assert node == "cpu-0", f"{node}: /home is <ext4>"
""")
    with pytest.raises(SuiteFailed) as caught:
        bench.run(page=bench.page, expression="mounts")
    assert str(bench.page.path) in caught.value.hint
    text = bench.page.path.read_text(encoding="utf-8")
    assert "1 of 2 tests failed" in text
    assert "cpu-1: /home is &lt;ext4&gt;" in text
    assert "those that match &#39;mounts&#39;" in text


def test_the_report_says_so_when_the_suite_was_ended_and_none_of_before_is_left(bench: Bench) -> None:
    bench.write("def test_waits(): time.sleep(30)\n")
    bench.page.path.parent.mkdir(parents=True)
    bench.page.path.write_text("of yesterday")
    with pytest.raises(VerifyError) as caught:
        bench.run(page=bench.page, deadline=1.5)
    assert str(bench.page.path) in caught.value.hint
    text = bench.page.path.read_text(encoding="utf-8")
    assert "the verification was ended after 2 s: it was at test_nfs.py::test_waits" in text
    assert "not verified" in text


def test_a_test_whose_fixture_fails_after_it_has_failed_in_the_report(bench: Bench) -> None:
    bench.write("""
@pytest.fixture
def place():
    yield
    raise RuntimeError("not cleaned up")
def test_mounts(place): pass
""")
    with pytest.raises(SuiteFailed):
        bench.run(page=bench.page)
    assert "1 of 1 tests failed" in bench.page.path.read_text(encoding="utf-8")


def test_versions_that_the_suite_learns_are_in_the_report(bench: Bench) -> None:
    bench.write("""
def test_controller(record_testsuite_property): record_testsuite_property("slurm_version", "22.05.8")
""")
    bench.run(page=bench.page)
    assert "<dd>22.05.8</dd>" in bench.page.path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("test", "node", "said"),
    [
        ("test_nfs.py::test_exports_are_nfs4", "", "exports are nfs4"),
        ("test_nfs.py::test_mounts[cpu-0]", "cpu-0", "mounts"),
        ("test_nfs.py::test_mounts[cpu-0-/home/a-b]", "cpu-0", "mounts [/home/a-b]"),
        ("test_nfs.py::test_mounts[/etc/x-cpu-0]", "cpu-0", "mounts [/etc/x]"),
        ("test_nfs.py::test_mounts[cpu-0]", "", "mounts [cpu-0]"),
    ],
)
def test_what_a_test_promises_beside_the_name_of_its_node(test: str, node: str, said: str) -> None:
    assert promise(test, node) == said
