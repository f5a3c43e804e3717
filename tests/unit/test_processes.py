"""A process and everything it started, ended for certain."""

from __future__ import annotations

import subprocess
import sys

from labctl.steps.processes import Process, family, find, kill

# A parent whose child has left for a session of its own, as Ansible workers do; it says when it is there.
PARENT = """
import subprocess, sys
child = "import time; print('here', flush=True); time.sleep(600)"
subprocess.run([sys.executable, "-c", child], start_new_session=True)
"""


def test_children_in_other_sessions_are_found_and_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "here\n"
        root = find(parent.pid)
        assert root is not None
        members = family(root)
        assert len(members) == 2
        kill(members)
        assert parent.stdout.read() == ""  # both have let go of the pipe
        parent.wait(timeout=10)
    assert family(root) == ()


def test_a_later_process_with_the_same_id_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        root = find(parent.pid)
        assert root is not None
        kill((Process(root.pid, root.parent, root.started - 1),))
        assert parent.poll() is None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "here\n"
        kill(family(root))


def test_a_process_that_nobody_has_looked_after_is_gone() -> None:
    with subprocess.Popen(["/bin/true"], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()
        while find(ended.pid) is not None:
            pass
        assert ended.returncode is None
