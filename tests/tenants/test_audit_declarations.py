"""Whatever can change something says what it writes into the audit log: a new one that does not is found here."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from dashboard.gate import AUDITS
from dashboard.urls import urlpatterns as pages
from tenants.audit.declared import Acts, Changes, Declared, Unaudited
from tenants.management.audited import AuditedCommand

OURS = ("tenants", "engine", "webhooks")
PROCESSES = {"up", "runengine", "runweb"}
"""Commands that are whole processes: what changes through them is told of by what they serve."""
NOT_AUDITED = {
    "tenants_signintries": "a counter of tried passwords",
    "tenants_auditentry": "the log itself",
    "webhooks_delivery": "a record of its own, which nobody changes",
    "webhooks_eventorigin": "follows from a delivery",
    "webhooks_occurrence": "what messages are made of",
    "webhooks_message": "a record of its own, which nobody changes",
    "webhooks_dispatch": "a record of its own, which nobody changes",
    "webhooks_alert": "what people do to one is told of as their acts",
    "webhooks_alertnotification": "a record of its own, which nobody changes",
    "webhooks_failedruns": "what alerts are made of",
    "tenants_browsersession": "sessions say themselves when they begin and end",
    "engine_answeredrequest": "answers kept for requests that come again",
    "engine_engineprocess": "which engines run",
    "engine_lease": "which engine schedules a tenant",
    "engine_payloadstore": "tells a start what its configuration lacks",
    "engine_tenantkey": "nobody can read more or less by another one",
    "engine_step": "part of a version, which is told of",
    "engine_eventtrigger": "part of a version, which is told of",
    "engine_sharedstrategy": "part of a version, which is told of",
    "engine_durableentry": "data plane",
    "engine_durabletask": "data plane",
    "engine_durablewait": "data plane",
    "engine_endedchild": "data plane",
    "engine_celfailure": "data plane",
    "engine_childlink": "data plane",
    "engine_event": "data plane",
    "engine_idempotencykey": "data plane",
    "engine_logline": "data plane",
    "engine_outboxkey": "data plane",
    "engine_outboxrow": "data plane",
    "engine_logtally": "data plane",
    "engine_payload": "data plane",
    "engine_run": "data plane",
    "engine_runslot": "data plane",
    "engine_span": "data plane",
    "engine_runtally": "data plane",
    "engine_task": "data plane",
    "engine_taskevent": "data plane",
    "engine_cronmiss": "data plane",
    "engine_figuresposition": "data plane",
    "engine_tenanttotal": "data plane",
    "engine_workflowtiming": "data plane",
    "engine_stepwait": "data plane",
    "engine_endedwait": "data plane",
    "engine_failedattempt": "data plane",
    "engine_errortally": "data plane",
    "engine_errorgroup": "counted by engines; what people do about one is an entry of its own",
}
"""Tables without a trigger, each with the reason."""


def operations() -> Iterator[tuple[str, Declared | None]]:
    """Every operation over REST that is not a plain reading, with what it declared."""

    def walk(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns)
            else:
                yield pattern

    for pattern in walk(get_resolver().url_patterns):
        view: Any = pattern.callback
        for operation in getattr(view, "view_initkwargs", {}).get("operations", ()):
            if operation.method not in {"GET", "HEAD"}:
                yield f"{operation.method} {pattern.pattern} {operation.identity}", operation.audits


def commands() -> Iterator[tuple[str, type[Any]]]:
    for app in OURS:
        package = f"{app}.management.commands"
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
            module = importlib.import_module(f"{package}.{found.name}")
            yield found.name, module.Command


def test_every_operation_declares() -> None:
    found = dict(operations())
    assert len(found) > 25
    assert [name for name, declared in found.items() if declared is None] == []


@pytest.mark.django_db
def test_every_page_that_takes_posts_declares() -> None:
    silent = [
        str(page.name)
        for page in pages
        if getattr(page.callback, AUDITS, None) is None and takes_posts(page)
    ]
    assert silent == []
    assert sum(takes_posts(page) for page in pages) > 25


def takes_posts(page: URLPattern) -> bool:
    """Whether a POST is answered by anything but a refusal of the method, which comes before all else."""
    declared = getattr(page.callback, AUDITS, None)
    if declared is not None:
        return True
    view: Any = page.callback
    request: Any = RequestFactory().post("/")
    request.user = type("Nobody", (), {"is_authenticated": False})()
    try:
        status: int = view(request, **dict.fromkeys(page.pattern.converters, "x")).status_code
    except Exception:  # noqa: BLE001  it went further than to refuse the method
        return True
    return status != 405


def test_every_command_declares() -> None:
    found = dict(commands())
    assert {"createtoken", "createuser"} <= found.keys()
    silent = [
        name
        for name, kind in found.items()
        if name not in PROCESSES
        and not (issubclass(kind, AuditedCommand) and hasattr(kind, "audits"))
    ]
    assert silent == []


@pytest.mark.django_db
def test_every_table_is_audited_or_says_why_not() -> None:
    tables = {
        model._meta.db_table
        for app in OURS
        for model in apps.get_app_config(app).get_models()
        if model._meta.managed
    }
    assert tables - set(triggers()) - NOT_AUDITED.keys() == set()
    assert NOT_AUDITED.keys() - tables == set()


@pytest.mark.django_db
def test_every_column_of_an_audited_table_is_shown_withheld_or_ignored() -> None:
    """Otherwise a new column would be changed without a word, or a secret one be told."""
    for table, about in triggers().items():
        with connection.cursor() as cursor:
            columns = {
                c.name for c in connection.introspection.get_table_description(cursor, table)
            }
        named = [*about["shown"], *about["withheld"], *about["ignored"]]
        assert sorted(named) == sorted(columns), table


@pytest.mark.django_db
def test_what_changes_rows_names_a_kind_that_a_trigger_tells_of() -> None:
    kinds = {about["kind"] for about in triggers().values()}
    declared = [audits for _, audits in operations()]
    declared += [getattr(page.callback, AUDITS, None) for page in pages]
    declared += [getattr(kind, "audits", None) for _, kind in commands()]
    assert {one.kind for one in declared if isinstance(one, Changes)} <= kinds


def triggers() -> dict[str, dict[str, Any]]:
    """What the triggers of each audited table tell."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgrelid::regclass::text, obj_description(t.tgfoid) FROM pg_trigger t"
            " WHERE t.tgname = 'audited'"
        )
        return {table: json.loads(about) for table, about in cursor.fetchall()}


@pytest.mark.parametrize(
    "action", ["cron", "cron.", "Cron.create", "cron.create.all", "cron create"]
)
def test_an_action_is_a_resource_and_a_verb(action: str) -> None:
    with pytest.raises(ValueError, match="no action"):
        Changes(action)
    assert Acts("rate_limit.delete").kind == "rate_limit"
    assert Unaudited("because").because
