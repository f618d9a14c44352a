"""What browsers are served: nothing from elsewhere, nothing inline, nothing heavy, nothing altered."""

from __future__ import annotations

import gzip
import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
OWN = sorted((STATIC / "dashboard").iterdir())
MAX_JS, MAX_CSS = 30 * 1024, 20 * 1024


def test_vendored_files_are_what_their_packages_hold() -> None:
    vendor = STATIC / "vendor"
    packages = tomllib.loads((vendor / "VENDOR.toml").read_text())["package"]
    listed = {name: sha for package in packages for name, sha in package["sha256"].items()}
    found = {
        str(path.relative_to(vendor)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.rglob("*")
        if path.is_file() and path.name != "VENDOR.toml"
    }
    assert found == listed
    for package in packages:
        assert package["licence_file"] in found


@pytest.mark.parametrize("path", [*TEMPLATES, *OWN], ids=lambda path: path.name)
def test_nothing_names_another_origin(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_inline_script_or_style(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|hx-on|js:", text)
    assert "|safe" not in text
    assert "autoescape off" not in text


def test_scripts_and_styles_stay_small() -> None:
    scripts = list(STATIC.rglob("*.js"))
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) < MAX_JS
    styles = list(STATIC.rglob("*.css"))
    assert sum(len(gzip.compress(path.read_bytes())) for path in styles) < MAX_CSS


def test_every_icon_that_is_named_exists() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', (STATIC / "dashboard/icons.svg").read_text()))
    named = {
        name
        for path in TEMPLATES
        for name in re.findall(r'{% icon "([a-z]+)" %}', path.read_text())
    }
    states = {"queued", "running", "completed", "failed", "cancelled", "skipped", "pending"}
    assert named | states | {"active", "inactive", "paused"} <= drawn
