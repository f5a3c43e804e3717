"""What mkdocs.yml cannot say of the site: pages beside docs/, pages that are not listed, nothing from elsewhere.

A page links to a file of the repository as it does on any forge: relative to itself. On the site a role's README is
a page below the roles, and every other file that is linked lies beside the pages, as it is.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
FOREIGN = re.compile(
    r'<(?:script|img|iframe|link rel="(?:stylesheet|preconnect|icon)")[^>]*(?:src|href)="(?:https?:)?//[^"]*"'
)
log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take in what is linked, and list what is not listed."""
    waiting = [Path(file.abs_src_path) for file in files.documentation_pages() if file.abs_src_path]
    while waiting:
        page = waiting.pop()
        for path in _linked(page):
            if files.get_file_from_path(_on_site(path)) is None and path.is_file():
                files.append(File.generated(config, _on_site(path), abs_src_path=str(path)))
                waiting += [path] if path.suffix == ".md" else []
    _list(sorted(file.src_uri for file in files.documentation_pages()), config.nav)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links as they are on the site."""
    source, here = Path(str(page.file.abs_src_path)), Path(page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        path = (source.parent / link[1]).resolve()
        return os.path.relpath(_on_site(path), here) if path.exists() else link[1]

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """No page makes a reader's browser ask anybody else."""
    for tag in FOREIGN.findall(output):
        log.warning("%s loads something from elsewhere: %s", page.file.src_uri, tag)
    return output


def _linked(page: Path) -> Iterator[Path]:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        yield (page.parent / link).resolve()


def _on_site(path: Path) -> str:
    """Where a file of the repository is on the site."""
    inside = path.relative_to(ROOT)
    if inside.parts[0] == "docs":
        return str(inside.relative_to("docs"))
    return f"roles/{inside.parts[1]}.md" if inside.match("roles/*/README.md") else str(inside)


def _list(pages: list[str], nav: Any) -> None:
    listed = set(_leaves(nav))
    for page in pages:
        if page not in listed:
            _section(nav, "The roles" if page.startswith("roles/") else "How-to guides").append(page)


def _leaves(nav: Any) -> Iterator[str]:
    for item in nav if isinstance(nav, list) else nav.values():
        if isinstance(item, str):
            yield item
        else:
            yield from _leaves(item)


def _section(nav: Any, title: str) -> Any:
    """The list of the section of this title, wherever it is."""
    for item in nav:
        for name, content in item.items() if isinstance(item, dict) else ():
            if name == title:
                return content
            if isinstance(content, list) and (found := _section(content, title)) is not None:
                return found
    return None
