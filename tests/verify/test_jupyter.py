"""JupyterHub: it lets in who has the right password, and the notebook of who is in is a job."""

from __future__ import annotations

import json

import pytest
from clusterfacts.answers import Sections
from clusterfacts.topology import Topology, User

pytestmark = pytest.mark.needs("jupyterhub", "slurmctld")
REFUSED = "403"
HUB = "/hub/home"


def first(jupyter: Sections, name: str) -> str:
    """The first line of an answer."""
    return next(iter(jupyter.lines(name)), "nothing")


@pytest.fixture
def notebook(jupyter: Sections) -> Sections:
    """What became of a notebook."""
    if "busy" in jupyter:
        pytest.skip(jupyter["busy"])
    return jupyter


def test_nobody_is_told_anything_before_a_login(jupyter: Sections) -> None:
    assert first(jupyter, "nobody") == REFUSED, (
        f"JupyterHub tells somebody who has not logged in about a user: {jupyter['nobody'] or jupyter['stderr']}"
    )


def test_wrong_password_is_refused(user: User, jupyter: Sections) -> None:
    assert first(jupyter, "wrong") == REFUSED, (
        f"JupyterHub gave {first(jupyter, 'wrong')} to {user.name} with a wrong password"
    )


def test_right_password_opens_the_hub(user: User, jupyter: Sections) -> None:
    code, *where = jupyter.lines("right") or ["nothing"]
    assert (code, "".join(where).endswith(HUB)) == ("200", True), (
        f"JupyterHub gave {user.name} {code} {where}"
    )


@pytest.mark.needs("jupyterlab", "slurmd")
def test_notebook_is_a_job_of_its_user_on_a_compute_node(
    topology: Topology, user: User, notebook: Sections
) -> None:
    assert notebook["notebook"] == "ready", (
        f"the notebook of {user.name} did not start: {notebook['start']} {notebook['job']}"
    )
    _, state, node = (notebook["job"].split() or ["", "no job", ""])[:3]
    assert state == "RUNNING", (
        f"the notebook of {user.name} answers, and its job is: {notebook['job'] or 'none'}"
    )
    assert node in topology.nodes("slurmd"), f"the notebook's job is on {node}, which is no compute node"


@pytest.mark.needs("jupyterlab", "slurmd")
def test_notebook_shows_slurms_queue(notebook: Sections) -> None:
    code, *said = notebook.lines("queue") or ["nothing"]
    assert code == "200", f"the extension in the notebook gave {code}: {said}"
    number = notebook["job"].split()[0]
    answer = json.loads("".join(said))
    rows = answer.get("data", {}).get("rows", answer)
    assert [row for row in rows if number in map(str, row)], (
        f"the queue in the notebook lacks the notebook's job {number}: {rows}"
    )


@pytest.mark.needs("jupyterlab", "slurmd")
def test_stranger_does_not_get_into_a_notebook(notebook: Sections) -> None:
    code, *where = notebook.lines("stranger") or ["nothing"]
    assert code == REFUSED or "/hub/login" in "".join(where), (
        f"somebody who has not logged in got {code} of a notebook: {where}"
    )


@pytest.mark.needs("jupyterlab", "slurmd")
def test_notebook_that_is_stopped_leaves_no_job(notebook: Sections) -> None:
    assert first(notebook, "stop") in ("202", "204"), (
        f"JupyterHub gave {first(notebook, 'stop')} to stop a notebook"
    )
    assert notebook["left"] == "", (
        f"the job of a notebook that was stopped is still there: {notebook['left']}"
    )
