"""The documentation is a site: every page has its place, every link leads somewhere, and nobody else is asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.reference import DOCS

ROOT = DOCS.parent


def built(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build"],
        cwd=project,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """All that the site is made of, to be changed."""
    for name in ("docs", "roles", "inventories"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "scripts").mkdir()
    for name in ("mkdocs.yml", "scripts/site_hooks.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_it_is_built_strictly_with_pages_that_live_elsewhere(project: Path) -> None:
    (project / "docs" / "new.md").write_text("# A new page\n")
    run = built(project)
    assert run.returncode == 0, run.stderr
    site = project / "site"
    for role in (path.name for path in (ROOT / "roles").iterdir() if (path / "README.md").is_file()):
        assert f'href="roles/{role}.html"' in (site / "roles.html").read_text()
        assert (site / "roles" / f"{role}.html").is_file()
    inventory = "inventories/cluster/hosts.yml"
    assert f'href="{inventory}"' in (site / "roles-on-a-real-cluster.html").read_text()
    assert (site / inventory).read_text() == (ROOT / inventory).read_text()
    assert "A new page" in (site / "tutorial.html").read_text()  # in the navigation
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"([^\"]*)\"", page.read_text())
        assert not [address for address in loaded if "//" in address]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a](nowhere.md)", "nowhere.md"),
        ("[a](tutorial.md#nowhere)", "nowhere"),
        ("![a](https://example.org/a.png)", "loads something from elsewhere"),
        ('<script src="//example.org/a.js"></script>', "loads something from elsewhere"),
    ],
)
def test_what_a_reader_would_stumble_over_is_an_error(project: Path, text: str, words: str) -> None:
    (project / "docs" / "new.md").write_text(f"# New\n\n{text}\n")
    run = built(project)
    assert run.returncode != 0
    assert words in run.stderr
