"""The live socket: who may open it, and that it tells of exactly what a tab watches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.db import connections
from django.test import Client

from engine.store.hints import LIVE_CHANNEL, live_message
from hatchet_site.asgi import application
from tenants.models import Role, Tenant
from tests.dashboard import factories

HOST = b"localhost:8080"
SECONDS = 5


class World:
    """A tenant of its own with a member, committed, so that another connection can see them."""

    def __init__(self) -> None:
        self.tenant: Tenant = factories.make_tenant()
        client = Client()
        client.force_login(factories.make_member(self.tenant, Role.VIEWER))
        self.cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        other = Client()
        other.force_login(factories.make_user())
        self.strangers_cookie = other.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def world(committed_db: None) -> World:
    return World()


@pytest_asyncio.fixture(autouse=True)
async def _no_connection_stays() -> AsyncIterator[None]:
    """The sockets' queries run in a thread, whose connection would outlive the test database."""
    yield
    await sync_to_async(connections.close_all)()


def socket(world: World, *, cookie: str | None, origin: bytes = b"http://" + HOST) -> Any:
    headers = [(b"host", HOST), (b"origin", origin)]
    if cookie:
        headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
    return WebsocketCommunicator(application, f"/t/{world.tenant.slug}/live", headers)


@asynccontextmanager
async def opened(world: World, *topics: str) -> AsyncIterator[Any]:
    """A tab that watches these topics and has been told that it is live."""
    tab = socket(world, cookie=world.cookie)
    connected, _ = await tab.connect(timeout=SECONDS)
    assert connected
    await tab.send_json_to({"watch": list(topics)})
    assert await tab.receive_json_from(timeout=SECONDS) == {"state": "live"}
    try:
        yield tab
    finally:
        await tab.disconnect()


async def topics_heard(tab: Any, number: int) -> list[str]:
    return [(await tab.receive_json_from(timeout=SECONDS))["topic"] for _ in range(number)]


async def notify(conninfo: str, *payloads: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for payload in payloads:
            await connection.execute("SELECT pg_notify(%s, %s)", [LIVE_CHANNEL, payload])


@pytest.mark.parametrize("who", ["nobody", "stranger", "forger", "other origin"])
async def test_only_members_of_the_tenant_get_in(who: str, world: World) -> None:
    if who == "other origin":
        tab = socket(world, cookie=world.cookie, origin=b"https://evil.example")
    else:
        cookies = {"nobody": None, "stranger": world.strangers_cookie, "forger": "x" * 32}
        tab = socket(world, cookie=cookies[who])
    connected, _ = await tab.connect(timeout=SECONDS)
    assert not connected


async def test_a_tab_hears_of_its_topics_and_of_no_others(world: World, conninfo: str) -> None:
    mine, other = uuid4(), uuid4()
    async with opened(world, "runs", f"run:{mine}") as tab:
        await notify(
            conninfo,
            live_message(uuid4(), [mine], ["runs"]),
            live_message(world.tenant.id, [], ["workers"]),
            live_message(world.tenant.id, [other], []),
            live_message(world.tenant.id, [mine], ["runs"]),
        )
        assert await topics_heard(tab, 2) == [f"run:{mine}", "runs"]
        assert await tab.receive_nothing(timeout=0.2)


async def test_many_changed_runs_reach_every_watcher_of_one(world: World, conninfo: str) -> None:
    run = f"run:{uuid4()}"
    many = [uuid4() for _ in range(500)]
    async with opened(world, run) as tab:
        await notify(conninfo, live_message(world.tenant.id, many, ["runs"]))
        assert await topics_heard(tab, 1) == [run]


async def test_a_burst_becomes_two_signals(world: World, conninfo: str) -> None:
    """The first at once, and one for all the rest, so the last change is always told."""
    burst = [live_message(world.tenant.id, [uuid4()], ["runs"]) for _ in range(50)]
    async with opened(world, "runs") as tab:
        await notify(conninfo, *burst)
        first = await tab.receive_json_from(timeout=SECONDS)
        second = await tab.receive_json_from(timeout=SECONDS)
        assert second["rev"] > first["rev"]
        assert await tab.receive_nothing(timeout=1.3)


async def test_unreadable_notifications_harm_nobody(world: World, conninfo: str) -> None:
    async with opened(world, "runs") as tab:
        await notify(
            conninfo,
            "nonsense",
            "[]",
            '{"t": 5}',
            '{"t": "x"}',
            json.dumps({"t": str(world.tenant.id), "topics": 7}),
            live_message(world.tenant.id, [], ["runs"]),
        )
        assert await topics_heard(tab, 1) == ["runs"]


@pytest.mark.parametrize(
    "text", ["nonsense", "[]", '{"watch": [5]}', '{"watch": 5}', "[" * 100_000]
)
async def test_a_tab_that_talks_nonsense_is_closed(text: str, world: World) -> None:
    async with opened(world) as tab:
        await tab.send_to(text_data=text)
        closed = await tab.receive_output(timeout=SECONDS)
        assert closed["type"] == "websocket.close"


async def test_a_lost_database_connection_is_told_and_made_again(
    world: World, conninfo: str
) -> None:
    async with opened(world, "runs") as tab:
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        assert await tab.receive_json_from(timeout=SECONDS) == {"state": "stale"}
        assert await tab.receive_json_from(timeout=SECONDS) == {"state": "live"}
        await notify(conninfo, live_message(world.tenant.id, [], ["runs"]))
        assert await topics_heard(tab, 1) == ["runs"]


async def test_all_tabs_share_one_connection_and_none_stays(world: World, conninfo: str) -> None:
    async def listeners() -> int:
        async with await psycopg.AsyncConnection.connect(conninfo) as connection:
            cursor = await connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
            [number] = await cursor.fetchone() or [0]
            return int(number)

    async with opened(world, "runs"), opened(world, "workers"), opened(world, "runs"):
        assert await listeners() == 1
    async with asyncio.timeout(SECONDS):
        while await listeners():  # noqa: ASYNC110  (Postgres has no event for a closed session)
            await asyncio.sleep(0.02)
