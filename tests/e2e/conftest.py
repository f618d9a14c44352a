"""Real processes for end-to-end tests: one installation shared by most, a tenant for each file."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stack import Stack, open_stack
from tests.e2e.tenant import Tenant

HERE = Path(__file__).parent
SHOWN_CHARACTERS = 6000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="module")
def empty_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation that is set up but whose processes the tests start themselves."""
    stack = open_stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation with one engine and one web process, shared by all files that do them no harm."""
    stack = open_stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def sdk() -> Path | None:
    """Where workers and clients find the SDK first; nowhere but in the requirements unless overridden."""
    return None


@pytest.fixture(scope="module")
def tenant(
    stack: Stack, sdk: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    """A fresh tenant of the shared installation; its workers and clients end with the file."""
    tenant = Tenant.create(stack, tmp_path_factory.mktemp("tenant"), sdk)
    yield tenant
    tenant.close()


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """An installation whose processes one test starts and ends as it likes; none runs yet."""
    stack = open_stack(tmp_path)
    yield stack
    stack.close()


@pytest.fixture
def own_tenant(own_stack: Stack, tmp_path: Path) -> Iterator[Tenant]:
    tenant = Tenant.create(own_stack, tmp_path / "tenant")
    yield tenant
    tenant.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what every process of the test wrote last."""
    report = yield
    if report.failed:
        report.sections.extend(_outputs(getattr(item, "funcargs", {}).values()))
    return report


def _outputs(fixtures: Iterable[Any]) -> list[tuple[str, str]]:
    owners = [value for value in fixtures if isinstance(value, Stack | Tenant)]
    owners += [owner.stack for owner in owners if isinstance(owner, Tenant)]
    services = {service.log: service for owner in owners for service in owner.services}
    return [
        (f"{service.name} ({log.name})", service.output[-SHOWN_CHARACTERS:])
        for log, service in services.items()
    ]
