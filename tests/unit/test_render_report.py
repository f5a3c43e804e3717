"""The report of a verify run is one page that opens anywhere and says what failed, where and why."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from labctl.definition.loading import load
from labctl.render.graph.topology import topology
from labctl.render.report.page import About, Result, Run, Step, html

VOID = {"meta", "link", "br", "img", "input", "hr"}
PASSED = (
    Result("nodes", "node answers", "cpu-0", "passed"),
    Result("nodes", "node answers", "cpu-1", "passed"),
    Result("nfs", "homes are private", "cpu-0", "passed"),
    Result("jobs", "batch job runs", "", "passed"),
    Result("gpus", "one too many is refused", "", "skipped", "no node has a GPU"),
)
FAILED = (
    Result("munge", "key is private", "cpu-1", "failed", "munge.key has mode 0644,\nexpected <0400>"),
    Result("munge", "key is the same everywhere", "cpu-0", "failed", "no <b>answer</b> & more"),
    Result("munge", "key is the same everywhere", "cpu-1", "failed", "no <b>answer</b> & more"),
)
RUN = Run(PASSED, 41.96, "2026-01-02 10:30 UTC", "every test")
ABOUT = About(
    topology(load("full"), network="10.20.30.0/24"),
    steps=(Step("boot", 30.0), Step("converge", 60.0)),
    part_of_up=True,
    tasks={f"role : Task {number}": float(number) for number in range(20)},
    versions={"labctl": "0.1.0", "Slurm": "22.05.8"},
)


class Page(HTMLParser):
    """A page as a browser without network and scripts shows it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.words.setdefault(self.open[-1], []).append(" ".join(data.split()))

    def with_class(self, name: str) -> list[str]:
        return [tag for tag, attrs in self.tags if name in (attrs.get("class") or "").split()]

    @property
    def text(self) -> str:
        return " ".join(word for tag, words in self.words.items() if tag != "style" for word in words)


@pytest.mark.parametrize(
    "run", [RUN, replace(RUN, tests=PASSED + FAILED), replace(RUN, tests=(), cut="late")]
)
def test_the_page_is_whole_and_needs_nothing_else(run: Run) -> None:
    page = Page(html(run, ABOUT))
    assert page.open == []
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "img", "iframe", "object"}]
    for _, attrs in page.tags:
        assert not [name for name in attrs if name == "src" or name.startswith("on")]
        assert (attrs.get("href") or "verify.").startswith("verify.")
    style = " ".join(page.words["style"])
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


def test_a_lab_that_is_verified_says_so_first() -> None:
    page = Page(html(RUN, ABOUT))
    assert page.words["title"] == ["full: verified", "The lab full", *page.words["title"][2:]]
    assert page.words["span"][0] == "✔ verified"
    assert "4 tests passed, 1 skipped in 42.0 s" in page.text
    assert "What failed" not in page.text
    assert (
        "1 test no node has a GPU" in page.text.replace(" 1 test", "1 test")
        or "no node has a GPU" in page.text
    )


def test_some_of_the_tests_are_no_proof() -> None:
    page = Page(html(replace(RUN, proof=False), ABOUT))
    assert page.words["span"][0] == "✔ passed"
    assert "verified" not in page.text


def test_a_run_that_was_cut_or_empty_proves_nothing() -> None:
    for run in (replace(RUN, cut="it was ended after 5 s"), replace(RUN, tests=())):
        assert Page(html(run, ABOUT)).words["span"][0] == "✖ not verified"


def test_failures_are_unfolded_and_one_cause_is_told_once() -> None:
    page = Page(html(replace(RUN, tests=PASSED + FAILED), ABOUT))
    assert page.words["title"][0] == "full: 3 of 7 tests failed"
    assert page.words["span"][0] == "✖ 3 of 7 tests failed"
    assert page.words["h3"] == [
        "cpu-1: munge: key is private",
        "cpu-[0-1]: munge: key is the same everywhere (and 1 more)",
    ]
    assert page.words["pre"][:2] == ["munge.key has mode 0644, expected <0400>", "no <b>answer</b> & more"]
    opened = [attrs for tag, attrs in page.tags if tag == "details" and "open" in attrs]
    assert len(opened) == 2


def test_results_stand_by_node_and_topic() -> None:
    page = Page(html(replace(RUN, tests=PASSED + FAILED), ABOUT))
    assert page.words["th"][:6] == ["node", "nodes", "nfs", "jobs", "gpus", "munge"]
    assert page.words["th"][6:] == ["cpu-0", "cpu-1", "cluster"]
    assert page.words["td"][:7] == [
        "✔ 1",
        "✔ 1",
        "✖ 1 of 1 failed",
        "✔ 1",
        "✖ 2 of 2 failed",
        "✔ 1",
        "○ 1 skipped",
    ]


def test_the_picture_shows_what_the_tests_found() -> None:
    text = html(replace(RUN, tests=PASSED + FAILED), ABOUT)
    picture = text[text.index("<svg") : text.index("</svg>")]
    for words in (">1 failed<", ">2 failed<", ">not tested<", "10.20.30.0/24"):
        assert words in picture


@pytest.mark.parametrize(
    ("tests", "cut", "bars"),
    [
        (PASSED, "", {"bar": 3, "stopped": 0}),
        (FAILED, "", {"bar": 3, "stopped": 1}),
        (PASSED, "it was ended after 5 s", {"bar": 3, "stopped": 1}),
    ],
)
def test_the_time_of_this_up_ends_with_verify(
    tests: tuple[Result, ...], cut: str, bars: dict[str, int]
) -> None:
    page = Page(html(replace(RUN, tests=tests, cut=cut), ABOUT))
    assert {name: len(page.with_class(name)) for name in bars} == bars
    assert "Where the time went" in page.words["h2"]
    assert "132.0 s" in page.text
    assert cut in page.text


def test_the_time_of_an_earlier_up_is_told_as_such() -> None:
    page = Page(html(RUN, replace(ABOUT, part_of_up=False, steps=(Step("boot", 3.0, failed=True),))))
    assert "Where the time of the last up went" in page.words["h2"]
    assert len(page.with_class("bar")) == len(page.with_class("stopped")) == 1
    nothing = Page(html(RUN, About(ABOUT.topology)))
    assert "Where the time of the last up went" not in nothing.words["h2"]
    assert "Versions" not in nothing.words["h2"]


def test_only_the_slowest_tasks_and_every_version_are_listed() -> None:
    page = Page(html(RUN, ABOUT))
    listed = [word for word in page.words["td"] if word.startswith("role : ")]
    assert listed == [f"role : Task {number}" for number in range(19, 9, -1)]
    assert page.words["dd"][-2:] == ["0.1.0", "22.05.8"]
