"""The live socket: who may open it, and that it tells of exactly what a tab watches."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client
from django.utils import timezone

from dashboard.live import CLOSE_SIGNED_OUT, CLOSE_TOO_MANY
from engine.store.hints import LIVE_CHANNEL, live_message
from hatchet_site.asgi import application
from tenants.access import access_of_user
from tenants.models import Member, Role, Tenant, User
from tenants.people.members import leave_tenant, remove_member, update_member
from tenants.people.tenants import delete_tenant
from tests.dashboard import factories

HOST = b"localhost:8080"
SECONDS = 5
TEMPLATES = Path(settings.BASE_DIR) / "templates"
TOPICS = {
    topic
    for template in TEMPLATES.rglob("*.html")
    for topics in re.findall(r'data-live="([^"{]*)', template.read_text())
    for topic in topics.split()
    if ":" not in topic
}
"""What pages watch, besides single runs."""


class World:
    """A tenant of its own with a member, committed, so that another connection can see them."""

    def __init__(self) -> None:
        self.tenant: Tenant = factories.make_tenant()
        self.user = factories.make_member(self.tenant, Role.VIEWER)
        self.browser = Client()
        self.browser.force_login(self.user)
        self.cookie = self.browser.cookies[settings.SESSION_COOKIE_NAME].value
        other = Client()
        other.force_login(factories.make_user())
        self.strangers_cookie = other.cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def world(committed_db: None) -> World:
    return World()


@pytest.fixture
def other(committed_db: None) -> World:
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


@pytest.mark.parametrize("who", ["nobody", "stranger", "forger", "other origin", "other scheme"])
async def test_only_members_of_the_tenant_get_in(who: str, world: World) -> None:
    if who == "other origin":
        tab = socket(world, cookie=world.cookie, origin=b"https://evil.example")
    elif who == "other scheme":
        tab = socket(world, cookie=world.cookie, origin=b"https://" + HOST)
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


async def test_no_topic_tells_of_another_tenant(world: World, other: World, conninfo: str) -> None:
    """Whatever a tab watches: what comes last is all that it hears."""
    assert {"runs", "workers", "webhooks"} <= TOPICS
    run, own = uuid4(), uuid4()
    async with opened(world, *TOPICS, f"run:{run}", f"run:{own}") as tab:
        await notify(
            conninfo,
            live_message(other.tenant.id, [run], sorted(TOPICS)),
            live_message(other.tenant.id, [uuid4() for _ in range(500)], sorted(TOPICS)),
            live_message(world.tenant.id, [own], []),
        )
        assert await topics_heard(tab, 1) == [f"run:{own}"]


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
    "text",
    [
        "nonsense",
        "[]",
        '{"watch": [5]}',
        '{"watch": 5}',
        "[" * 100_000,
        '{"watch": ["' + "x" * 9000 + '"]}',
    ],
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


def sign_out_of_a_page(world: World) -> None:
    world.browser.post("/logout")


def sign_out_over_rest(world: World) -> None:
    world.browser.post("/api/v1/users/logout")


def expire_the_session(world: World) -> None:
    Session.objects.filter(session_key=world.cookie).update(expire_date=timezone.now())


def remove_the_member(world: World) -> None:
    Member.objects.filter(user=world.user).delete()


def remove_the_member_as_an_owner_does(world: World) -> None:
    owner = factories.make_member(world.tenant, Role.OWNER)
    member = Member.objects.get(user=world.user)
    remove_member(access_of_user(owner, world.tenant), member.id)


def leave_the_tenant(world: World) -> None:
    leave_tenant(access_of_user(world.user, world.tenant))


def delete_the_tenant(world: World) -> None:
    owner = factories.make_member(world.tenant, Role.OWNER)
    delete_tenant(access_of_user(owner, world.tenant), world.tenant.slug)


def disable_the_user(world: World) -> None:
    User.objects.filter(id=world.user.id).update(is_active=False)


def doubt_the_address(world: World) -> None:
    User.objects.filter(id=world.user.id).update(is_email_verified=False)


def change_the_password(world: World) -> None:
    world.user.set_password("another-one-9")
    world.user.save(update_fields=["password"])


@pytest.mark.parametrize(
    ("what_happens", "ask_seconds"),
    [
        (sign_out_of_a_page, 600.0),  # a hint is enough, from whichever process it comes
        (sign_out_over_rest, 600.0),
        (remove_the_member_as_an_owner_does, 600.0),
        (leave_the_tenant, 600.0),
        (delete_the_tenant, 600.0),
        (expire_the_session, 0.05),
        (remove_the_member, 0.05),
        (disable_the_user, 0.05),
        (doubt_the_address, 0.05),
        (change_the_password, 0.05),
    ],
)
async def test_a_tab_is_closed_when_its_user_may_not_be_there_any_more(
    what_happens: Callable[[World], None],
    ask_seconds: float,
    world: World,
    conninfo: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dashboard.live_hub.ASK_SECONDS", ask_seconds)
    async with opened(world, "runs") as tab:
        await sync_to_async(what_happens)(world)
        closed = await tab.receive_output(timeout=SECONDS)
        assert (closed["type"], closed["code"]) == ("websocket.close", CLOSE_SIGNED_OUT)
        await notify(conninfo, live_message(world.tenant.id, [], ["runs"]))
        assert await tab.receive_nothing(timeout=0.2)
    again = socket(world, cookie=world.cookie)
    connected, _ = await again.connect(timeout=SECONDS)
    assert not connected


async def test_a_page_of_members_hears_of_every_change(world: World, conninfo: str) -> None:
    def change() -> None:
        owner = factories.make_member(world.tenant, Role.OWNER)
        member = Member.objects.get(user=world.user)
        update_member(access_of_user(owner, world.tenant), member.id, role=Role.ADMIN)

    async with opened(world, "members") as tab:
        await sync_to_async(change)()
        assert await topics_heard(tab, 1) == ["members"]


async def test_others_stay_when_one_signs_out(world: World, other: World, conninfo: str) -> None:
    async with opened(other, "runs") as stays, opened(world, "runs") as leaves:
        await sync_to_async(sign_out_of_a_page)(world)
        assert (await leaves.receive_output(timeout=SECONDS))["type"] == "websocket.close"
        await notify(conninfo, live_message(other.tenant.id, [], ["runs"]))
        assert await topics_heard(stays, 1) == ["runs"]


async def test_one_session_has_only_so_many_tabs(
    world: World, other: World, conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.live_hub.MAX_SOCKETS_PER_SESSION", 2)
    async with opened(world, "runs") as first, opened(world, "runs") as second:
        third = socket(world, cookie=world.cookie)
        await third.connect(timeout=SECONDS)
        refused = await third.receive_output(timeout=SECONDS)
        assert (refused["type"], refused["code"]) == ("websocket.close", CLOSE_TOO_MANY)
        async with opened(other, "runs"):
            pass  # another session has places of its own
        await second.disconnect()
        async with opened(world, "runs"):
            pass  # and a place that was left can be taken
        await notify(conninfo, live_message(world.tenant.id, [], ["runs"]))
        assert await topics_heard(first, 1) == ["runs"]


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
