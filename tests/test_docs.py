"""The pages of the documentation find each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("*/README.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def links(page: Path) -> set[Path]:
    """The files that a page links to."""
    targets = LINK.findall(page.read_text())
    return {(page.parent / target).resolve() for target in targets if "://" not in target}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    assert [path for path in links(page) if not path.exists()] == []


def test_the_index_knows_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    assert {page.resolve() for page in ROOT.glob("docs/*.md")} - links(index) == {index.resolve()}


NAMED = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.(?:py|sql|html))`")


def sources() -> set[str]:
    """Every file of ours, as paths from the root."""
    folders = ("benchmarks", "dashboard", "engine", "hatchet_site", "scripts", "templates")
    found = {
        path
        for name in (*folders, "tenants", "tests", "webhooks")
        for path in (ROOT / name).rglob("*.*")
    }
    return {f"/{path.relative_to(ROOT)}" for path in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    """A page may leave out the folders in front."""
    if page.name == "CHANGELOG.md":
        return
    named, there = set(NAMED.findall(page.read_text())), sources()
    assert [name for name in sorted(named) if not any(p.endswith(f"/{name}") for p in there)] == []
