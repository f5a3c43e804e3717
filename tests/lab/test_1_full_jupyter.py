"""Jupyter in the lab `full`, in a real browser: log in, start a notebook, see the queue, submit a job and cancel it.

It needs Chromium (`make browser` installs it). What the browser showed is kept in build/screenshots.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import User
from playwright.sync_api import Page, expect, sync_playwright
from ruamel.yaml import YAML

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: make browser")
SCREENSHOTS = Path(__file__).parents[2] / "build/screenshots"
SOON, SLOWLY = (
    120_000,
    300_000,
)  # milliseconds; without KVM a notebook takes half a minute to start, and more on a busy host
USER = "nucci"
#: What the extension does with a path, done from its page: since version 4 it has no form for that.
SUBMIT = """async ([path, folder]) => {
    const mark = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)[1];
    const answer = await fetch("/user/nucci/jupyterlab_slurm/sbatch", {
        method: "POST",
        headers: {"Content-Type": "application/json", "X-XSRFToken": mark},
        body: JSON.stringify({inputPath: path, outputPath: folder}),
    });
    return [answer.status, await answer.text()];
}"""


@pytest.fixture(scope="module")
def password(user: User) -> str:
    secrets = YAML(typ="safe").load(user.home / ".labctl/full/secrets.yml")
    return str(secrets["passwords"][USER])


@pytest.fixture(scope="module")
def url(user: User, cold_up: object) -> Iterator[str]:  # noqa: ARG001 - it must have happened
    """Where `labctl open` brings the page, until Ctrl-C."""
    opened = user.start("open", "jupyter", "--name", "full", "--no-browser", "--json")
    assert opened.stdout is not None
    said = ""
    while not said.rstrip().endswith("}"):
        line = opened.stdout.readline()
        assert line, f"labctl open ended: {said}"
        said += line
    yield json.loads(said)["url"]
    os.kill(opened.pid, signal.SIGINT)
    assert opened.wait(timeout=60) == 130


@pytest.fixture(scope="module")
def page(url: str) -> Iterator[Page]:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1400, "height": 900})
        shown.set_default_timeout(SOON)
        shown.goto(url)
        yield shown
        shown.screenshot(path=SCREENSHOTS / "jupyter-last.png")
        browser.close()


def log_in(page: Page, password: str) -> None:
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", password)
    page.click("input[type=submit]")


def job(full: User, name: str, state: str) -> str:
    """The number of the user's job of this name in this state, or nothing."""
    asked = f"squeue -h -u {USER} -n {name} -t {state} -o %i"
    return full.ok("ssh", "--name", "full", "login-0", "--", asked).out.strip()


def row(number: str) -> str:
    """Where the dashboard has a job."""
    return f'[role=row]:has([role=gridcell]:text-is("{number}"))'


def test_wrong_password_is_refused(page: Page, password: str) -> None:
    log_in(page, f"not {password}")
    expect(page.locator(".login_error")).to_contain_text("Invalid username or password")


def test_user_of_the_directory_logs_in_and_starts_a_notebook(page: Page, full: User, password: str) -> None:
    log_in(page, password)
    page.select_option("#partition", "cpu")
    page.fill("#runtime", "0:30:00")
    page.screenshot(path=SCREENSHOTS / "jupyter-options.png")
    page.click("#spawn_form button[type=submit]")
    page.wait_for_url(re.compile(f"/user/{USER}/lab"), timeout=SLOWLY)
    page.wait_for_selector(".jp-Launcher", timeout=SLOWLY)
    assert job(full, "jupyter", "RUNNING")


def test_jobs_that_the_dashboard_shows_can_be_submitted_and_cancelled_there(page: Page, full: User) -> None:
    script = "#!/bin/sh\n#SBATCH --job-name=from-the-page\nsleep 600\n"
    full.ok("ssh", "--name", "full", "-l", USER, "login-0", "--", "cat > sleep.sh", stdin=script)
    status, said = page.evaluate(SUBMIT, [f"/home/{USER}/sleep.sh", f"/home/{USER}"])
    assert status == 200, said
    number = json.loads(said)["data"]["jobId"]
    assert job(full, "from-the-page", "RUNNING,PENDING") == number
    page.click('.jp-LauncherCard[title*="Slurm"]')
    page.wait_for_selector(row(job(full, "jupyter", "RUNNING")))
    page.wait_for_selector(row(number))
    page.wait_for_timeout(1000)  # until the rows stand still
    page.screenshot(path=SCREENSHOTS / "jupyter-queue.png")
    page.locator(row(number)).locator("input[type=checkbox]").check()
    page.get_by_role("button", name="Cancel").click()
    for _ in range(60):
        if not job(full, "from-the-page", "RUNNING,PENDING"):
            return
        page.wait_for_timeout(1000)
    pytest.fail(f"job {number} runs although it was cancelled in the dashboard")


def test_notebook_that_is_stopped_leaves_no_job(page: Page, full: User, url: str) -> None:
    page.goto(f"{url}/hub/home", wait_until="networkidle")  # the button's script comes after the page
    page.click("#stop")
    expect(page.locator("#start")).to_contain_text("Start My Server", timeout=SOON)
    assert job(full, "jupyter", "RUNNING,PENDING") == ""
