"""Every operation of the official SDK's generated client answers as its models say, or says why not.

The operations are found in the installed SDK: one that is new there fails here until it is known.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tenants.models import Member
from tenants.tokens import create_token
from tests.api import sdk_arguments as given
from tests.api.rich import make_rich
from tests.api.test_openapi import documented
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db(transaction=True)

REFUSALS = {400, 401, 403, 404, 405, 409}
_PHASES = ((r"_create$", 0), (r"_logout$", 4), (r"_(delete|revoke)$", 3), (r"_(get|list)", 1))


@cache
def documented_as_working() -> dict[str, bool]:
    """By the names the SDK gives the operations."""

    def as_function(identity: str) -> str:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identity)
        return re.sub(r"[-:]+", "_", words).lower()

    return {
        as_function(identity): status.startswith("works") for _, _, identity, status in documented()
    }


class Sdk:
    """The SDK in its own process, with somebody's credentials."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.token = ""
        self.cookies: dict[str, str] = {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.operate_with_sdk"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.operations: dict[str, dict[str, Any]] = self._ask({})

    def sign_in(self, email: str) -> None:
        asked = {"user_login_request": {"email": email, "password": PASSWORD}}
        answer = self.call("user_update_login", asked)
        self.cookies[email] = answer["cookie"].partition(";")[0]

    def call(self, name: str, arguments: dict[str, Any], *, email: str = "") -> dict[str, Any]:
        who = {"cookie": self.cookies[email]} if email else {"token": self.token}
        asked = {"operation": name, "arguments": arguments, "host": self.host, **who}
        answer: dict[str, Any] = self._ask(asked)
        return answer

    def _ask(self, asked: dict[str, Any]) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def sdk(live_server: LiveServer, settings: Settings, installation: object) -> Iterator[Sdk]:
    settings.HATCHET = replace(settings.HATCHET, server_url=live_server.url)
    found = Sdk(live_server.url)
    yield found
    found.process.communicate()


class Walk:
    """Calls every operation once with what it needs, and once more with everything it takes."""

    def __init__(self, sdk: Sdk, ids: dict[str, str], cast: Cast) -> None:
        self.sdk, self.ids, self.cast = sdk, ids, cast
        self.sdk.token = create_token(cast.tenant, "walk")[1]
        for user in (cast.owner, cast.admin):
            sdk.sign_in(user.email)
        self.answers: dict[str, dict[str, Any]] = {}

    def go(self) -> dict[str, dict[str, Any]]:
        for name in sorted(self.sdk.operations, key=phase_of):
            self._call(name, name, self._arguments(name, is_full=False))
            if phase_of(name) == 1:
                self._call(name, f"{name} in full", self._arguments(name, is_full=True))
        return self.answers

    def _call(self, name: str, label: str, arguments: dict[str, Any]) -> None:
        is_personal = name.startswith(given.AS_A_PERSON)
        email = self.cast.owner.email if is_personal else ""
        if name == "user_update_password":
            email = self.cast.admin.email
        answer = self.sdk.call(name, arguments, email=email)
        self.answers[label] = answer
        for resource, made_by in given.MADE_BY.items():
            if name == made_by and (answer["status"] or 500) < 300:
                self.ids[resource] = json.loads(answer["body"])["metadata"]["id"]

    def _arguments(self, name: str, *, is_full: bool) -> dict[str, Any]:
        parameters = self.sdk.operations[name]
        return {
            key: self._value(key, parameter["choice"], is_full=is_full)
            for key, parameter in parameters.items()
            if is_full or parameter["is_required"] or key.endswith("_request")
        } | given.only_here(self.ids).get(name, {})

    def _value(self, key: str, choice: Any, *, is_full: bool) -> Any:
        if key == "only_tasks":
            return is_full
        if choice is not None:
            return choice
        if key in given.VALUES:
            return given.VALUES[key]
        known = given.bodies(self.ids) | given.bodies_of_people(
            self.ids, self.cast.owner.email, PASSWORD
        )
        if key in known:
            return known[key]
        found = self.ids[given.IDS.get(key, key)]
        return [found] if key in given.LISTS else found


def phase_of(name: str) -> int:
    """What makes comes first, then what reads, what changes, what deletes."""
    return next((phase for pattern, phase in _PHASES if re.search(pattern, name)), 2)


def refuses(answer: dict[str, Any]) -> bool:
    """Whether an answer is a refusal with a sentence."""
    if answer["status"] not in REFUSALS:
        return False
    return bool(json.loads(answer["body"])["errors"][0]["description"])


def succeeds(answer: dict[str, Any]) -> bool:
    """With a status that the contract has; the SDK's model has taken the body."""
    return bool(200 <= (answer["status"] or 0) < 300 and answer["is_declared"])


def is_as_documented(label: str, answer: dict[str, Any]) -> bool:
    name = label.partition(" ")[0]
    if name in given.NEEDS_OTHERS:
        return succeeds(answer) or refuses(answer)
    if name in given.UNREADABLE and answer["status"] is None:
        return "ValidationError" in answer["trouble"]
    return succeeds(answer) if documented_as_working()[name] else refuses(answer)


def test_every_operation_of_the_sdk_works_or_is_refused_as_documented(
    sdk: Sdk, cast: Cast, world: dict[str, str]
) -> None:
    """On a tenant with runs in every state and one of everything."""
    nowhere = dict.fromkeys(
        ("alert_email_group", "slack", "sns", "tenant_invite", "v1_serverless_endpoint"),
        str(uuid4()),
    )
    ids = nowhere | make_rich(cast, world) | {"email": cast.owner.email}
    answers = Walk(sdk, ids, cast).go()
    assert [
        f"{label}: {one}"[:500]
        for label, one in answers.items()
        if not is_as_documented(label, one)
    ] == []
    assert not Member.objects.filter(id=ids["other_member"]).exists()
    assert answers.keys() >= sdk.operations.keys()
    assert sdk.operations.keys() <= documented_as_working().keys()
    assert len(sdk.operations) > 150


class Nobody(dict[str, str]):
    """Ids of things that are not there."""

    def __missing__(self, key: str) -> str:
        return str(uuid4())


def test_every_operation_of_the_sdk_answers_about_an_empty_tenant(sdk: Sdk, cast: Cast) -> None:
    walk = Walk(sdk, Nobody(tenant=str(cast.tenant.id)), cast)
    answers = walk.go()
    assert [
        f"{label}: {one}"[:500]
        for label, one in answers.items()
        if not (succeeds(one) or refuses(one))
    ] == []
    of_tenants = {
        name
        for name, parameters in sdk.operations.items()
        if phase_of(name) == 1
        and documented_as_working()[name]
        and {key for key, one in parameters.items() if one["is_required"]}
        <= {"tenant", "since", "only_tasks"}
    }
    refused = {name for name in of_tenants - given.NEEDS_OTHERS if not succeeds(answers[name])}
    assert refused == set()
    assert len(of_tenants) > 30
