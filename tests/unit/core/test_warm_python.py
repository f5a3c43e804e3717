"""A program that is brought to the warm Python runs as it would in one of its own, and Mitogen finds itself at home."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl import warm_python
from labctl.definition import shipped
from labctl.resources import resource
from labctl.steps import precompile

BOX = shipped.BOXES / "debian-12"
# As systemd starts it: with the listening socket as file 3.
SERVER = "import os, runpy, sys; os.dup2({file}, 3); program = runpy.run_path({path!r})"
SERVE = "program['serve'](program['socket'].socket(fileno=3), program['Warm']({kept!r}))"
HOME = """\
import sys
sys.path.insert(0, {site!r})
import mitogen.master
import labctl.steps.precompile as there
broker = mitogen.master.Broker()
router = mitogen.master.Router(broker)
for prefix in ("ansible", "ansible_mitogen", "labctl"):
    router.responder.whitelist_prefix(prefix)
{before}python = router.local(python_path={python!r}, connect_timeout=60)
"""

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("warm")


@pytest.fixture(scope="module")
def client(folder: Path) -> str:
    path = folder / "python3"
    settings = [f'-DFOLDER="{folder}"', f'-DPYTHON="{sys.executable}"']
    subprocess.run(
        ["gcc", "-Wall", "-Wextra", "-Werror", *settings, "-o", path, BOX / "warm_python.c"], check=True
    )
    return str(path)


@pytest.fixture(scope="module")
def kept(folder: Path) -> str:
    """What a box keeps, of this machine's own Python."""
    tools = folder / "tools"
    tools.mkdir()
    (tools / "chroot").write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} "$@"\n')
    (tools / "chroot").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tools), prepend=os.pathsep)
        precompile.fill(folder, resource("roles"), str(folder / "modules"))
    return str(folder / "modules")


@pytest.fixture(scope="module")
def key(folder: Path, kept: str) -> Iterator[str]:
    """The name by which it is asked for while it stands there."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "warm-1"))
        listener.listen()
        script = SERVER.format(file=listener.fileno(), path=str(BOX / "warm_python.py"))
        command = [sys.executable, "-c", f"{script}\n{SERVE.format(kept=kept)}"]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()])
    yield "warm-1"
    assert server.poll() is None, "it has ended"
    server.kill()
    server.wait()


def test_it_is_what_a_box_is_built_with() -> None:
    assert warm_python.interpreter().split()[1] == warm_python.key()
    assert "mitogen-" in warm_python.key()


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('no')", 1),
        ("raise ValueError('no')", 1),
        ("syntax error", 1),
        ("import os; os.kill(os.getpid(), 9)", 137),
    ],
)
def test_the_end_of_a_program_is_its_own(client: str, key: str, program: str, code: int) -> None:
    ended = subprocess.run([client, key, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ("no" in ended.stderr) == ("'no'" in program)


def test_a_program_has_what_its_caller_has(client: str, key: str, tmp_path: Path) -> None:
    told = (
        "import os, sys; print(os.getcwd(), os.environ, sys.argv, oct(os.umask(0)), __name__, sys.stdin.read())\n"
        "print('bad', file=sys.stderr)\n"
        "print(os.path.exists('/proc/self/fd/5'), 'ansible_mitogen.target' in sys.modules)"
    )
    asked = [client, key, "-c", told, "one", ""]
    answer = subprocess.run(
        ["sh", "-c", 'umask 027; exec "$@"', "sh", *asked],
        input="typed",
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"A": "b=c", "PATH": os.environ["PATH"]},
    )
    first, second = answer.stdout.splitlines()
    assert first.startswith(f"{tmp_path} environ({{'A': 'b=c', 'PATH': ")
    assert first.endswith("['-c', 'one', ''] 0o27 __main__ typed")
    assert second == "False True"
    assert answer.stderr == "bad\n"


def test_programs_run_side_by_side(client: str, key: str, tmp_path: Path) -> None:
    """Each waits for the other: one after the other, they would wait for ever."""
    names = [tmp_path / "a", tmp_path / "b"]
    wait = "import os, sys, time\nopen(sys.argv[1], 'w')\nwhile not os.path.exists(sys.argv[2]): time.sleep(0.01)"
    both = [subprocess.Popen([client, key, "-c", wait, *map(str, pair)]) for pair in (names, reversed(names))]
    assert [one.wait(60) for one in both] == [0, 0]


@pytest.mark.parametrize("arguments", [["-c", "import sys; print(sys.argv)", "a"], ["-V"], ["-"], []])
def test_without_one_it_is_python_itself(client: str, arguments: list[str]) -> None:
    def said(*command: str) -> str:
        return subprocess.run(
            [*command, *arguments], input="print(1)", capture_output=True, text=True, check=True
        ).stdout

    assert said(client, "another-2") == said(sys.executable) != ""


def test_with_one_that_fails_it_is_python_itself(client: str, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "broken-1"))
        listener.listen()
        asked = subprocess.Popen([client, "broken-1", "-c", "print(1)"], stdout=subprocess.PIPE, text=True)
        listener.accept()[0].close()
        assert asked.communicate(timeout=60)[0] == "1\n"


def home(python: list[str], body: str, before: str) -> str:
    """What a Mitogen says that has a node here whose interpreter is this."""
    site = str(Path(precompile.__file__).parents[2])
    script = HOME.format(site=site, python=python, before=before) + body + "\nbroker.shutdown()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def ask(client: str, key: str) -> Callable[..., str]:
    def ask(body: str, name: str = "", before: str = "") -> str:
        return home([client, name or key], body, before)

    return ask


LOAD = """
import os
print(python.call(os.getenv, 'HOME'))
python.call(there.load, ['ansible_mitogen.target', 'ansible.module_utils.basic', 'ansible.modules.ping'])
print(python.call(os.path.basename, '/a/b'), len(router.responder._cache))
"""
OTHER = """
import mitogen.parent
text = mitogen.parent.get_core_source_partial().s + b'# and more'
mitogen.parent.get_core_source_partial = lambda: mitogen.parent.PartialZlib(text)
"""


def test_mitogen_has_a_node_whose_modules_are_loaded(ask: Callable[..., str]) -> None:
    warm, cold = ask(LOAD).split(), ask(LOAD, name="another-2").split()
    assert warm[:2] == cold[:2] == [os.environ["HOME"], "b"]
    # What is loaded is not asked for: only what no role had named is.
    assert int(warm[2]) < int(cold[2]) / 4


def test_another_mitogen_has_a_python_of_its_own(ask: Callable[..., str]) -> None:
    other, cold = ask(LOAD, before=OTHER).split(), ask(LOAD, name="another-2", before=OTHER).split()
    assert other == cold
