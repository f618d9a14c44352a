"""The tests of hatchet-django-tasks, in a process of their own against this Hatchet; and its wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.django_project import PACKAGE, DjangoProject, drop_project, make_project
from tests.e2e.stack import Stack
from tests.e2e.tenant import Tenant


@pytest.fixture
def project(stack: Stack, tenant: Tenant) -> Iterator[DjangoProject]:
    made = make_project(stack, tenant)
    yield made
    drop_project(stack, made)


@pytest.mark.timeout(600)
def test_its_own_tests_pass(project: DjangoProject) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests"],
        cwd=PACKAGE,
        env={**project.environment, "HATCHET_TEST_DATABASE": project.database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


def test_it_is_built_as_a_wheel_that_needs_nothing_of_the_server(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "package")
    build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    built = subprocess.run(
        [sys.executable, *build, str(tmp_path / "package")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("hatchet_django_tasks-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        texts = [archive.read(name).decode() for name in names if name.endswith(".py")]
    assert "hatchet_django_tasks/management/commands/hatchet_worker.py" in names
    assert not [name for name in names if name.startswith("tests")]
    for line in "\n".join(texts).splitlines():
        assert not line.lstrip().startswith(("from engine", "import engine", "from tenants"))
