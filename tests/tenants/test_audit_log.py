"""The audit log itself: what the triggers tell, what they withhold, and that nothing is ever changed in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from engine.config import Config
from tenants.audit.actors import Actor
from tenants.audit.declared import Acts, Changes
from tenants.audit.models import ActorKind, AuditEntry
from tenants.audit.recording import Acting, record, recorded_changes
from tenants.bootstrap import bootstrap
from tenants.models import APIToken, Member, Role, Tenant, User
from tenants.sign_in.admit import Profile, admit
from tenants.tokens import create_token
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db

ANN = Actor(ActorKind.PERSON, "1", "ann@acme.test", "192.0.2.1", "Browser/1")


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("id"))


def expire(before: datetime, at_most: int = 100) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_remove_before(%s, %s)", [before, at_most])
        [removed] = cursor.fetchone() or [None]
    return int(removed)


class TestChangedRows:
    def test_an_update_tells_what_differs(self, cast: Cast) -> None:
        with recorded_changes(Changes("tenant.update"), ANN, cast.tenant.id):
            Tenant.objects.filter(id=cast.tenant.id).update(name="New", slug="acme")
        [entry] = entries()
        assert (entry.before, entry.after) == ({"name": "Acme"}, {"name": "New"})
        assert (entry.tenant_id, entry.action) == (cast.tenant.id, "tenant.update")
        assert (entry.resource_kind, entry.resource_id) == ("tenant", str(cast.tenant.id))
        assert entry.resource_name == "New"
        assert (entry.actor_kind, entry.actor_id, entry.actor_name) == ("person", "1", ANN.name)
        assert (entry.address, entry.user_agent) == ("192.0.2.1", "Browser/1")

    def test_what_stays_the_same_is_not_told(self, cast: Cast) -> None:
        with recorded_changes(Changes("tenant.update"), ANN, cast.tenant.id):
            Tenant.objects.filter(id=cast.tenant.id).update(name="Acme")
            User.objects.filter(id=cast.owner.id).update(last_login=datetime.now(UTC))
        assert entries() == []

    def test_what_is_made_and_deleted_is_told_whole(self, cast: Cast) -> None:
        with recorded_changes(Changes("member.create"), ANN, cast.tenant.id):
            made = Member.objects.create(
                tenant=cast.tenant, user=cast.stranger, role=Role.VIEWER, can_view_payloads=False
            )
        with recorded_changes(Changes("member.remove"), ANN, cast.tenant.id):
            made.delete()
        created, removed = entries()
        wanted = {
            "user_id": str(cast.stranger.id),
            "role": "VIEWER",
            "can_view_payloads": False,
            "is_by_group": False,
        }
        assert (created.before, created.after) == (None, wanted)
        assert (removed.action, removed.before, removed.after) == ("member.remove", wanted, None)
        assert created.resource_name == "stranger@elsewhere.test"

    def test_each_thing_that_changes_with_it_has_its_own_entry(self, cast: Cast) -> None:
        with recorded_changes(Changes("tenant.create"), ANN, None):
            made = Tenant.objects.create(name="Third", slug="third")
            Member.objects.create(tenant=made, user=cast.owner, role=Role.OWNER)
        assert [one.action for one in entries()] == ["tenant.create", "member.create"]
        assert {one.tenant_id for one in entries()} == {made.id}

    def test_of_a_deleted_tenant_one_entry_tells(self, cast: Cast) -> None:
        with recorded_changes(Changes("tenant.delete"), ANN, cast.tenant.id):
            cast.tenant.delete()
        assert [one.action for one in entries()] == ["tenant.delete"]

    def test_a_password_is_never_in_it(self, cast: Cast) -> None:
        with recorded_changes(Changes("user.update"), ANN, None):
            cast.owner.set_password("Another-horse-8")
            cast.owner.save()
            made = User.objects.create_user("new@acme.test", PASSWORD)
        changed, created = entries()
        assert changed.before == {"password": "(withheld)"}
        assert changed.after == {"password": "(withheld, changed)"}
        assert created.after is not None
        assert "password" not in created.after
        told = str([(one.before, one.after) for one in entries()])
        assert made.password not in told
        assert cast.owner.password not in told

    def test_a_token_is_never_in_it(self, cast: Cast) -> None:
        with recorded_changes(Changes("token.create"), ANN, cast.tenant.id):
            _, text = create_token(cast.tenant, "ci")
        [entry] = entries()
        assert entry.resource_name == "ci"
        assert text not in str(AuditEntry.objects.values())

    def test_long_texts_are_cut_off(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT audit_shortened(%s)", ['{"a": "' + "x" * 5_000 + '"}'])
            [shortened] = cursor.fetchone() or [None]
        assert len(str(shortened)) < 1_100

    def test_nothing_is_told_outside(self, cast: Cast) -> None:
        with recorded_changes(Changes("tenant.update"), ANN, cast.tenant.id):
            pass
        Tenant.objects.filter(id=cast.tenant.id).update(name="Later")
        assert entries() == []

    def test_what_is_undone_is_not_told(self, cast: Cast) -> None:
        def change_and_fail() -> None:
            with recorded_changes(Changes("tenant.update"), ANN, None):
                Tenant.objects.filter(id=cast.tenant.id).update(name="New")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            change_and_fail()
        Tenant.objects.filter(id=cast.tenant.id).update(name="Later")
        assert entries() == []


class TestActs:
    def test_an_entry_is_written_with_the_deed(self, cast: Cast) -> None:
        acting = Acting(Acts("run.cancel"), ANN, cast.tenant.id, "r1")
        with acting.on() as told:
            told["count"] = 3
        acting.finish()
        [entry] = entries()
        assert (entry.action, entry.resource_id, entry.after) == ("run.cancel", "r1", {"count": 3})

    def test_a_deed_that_fails_or_is_none_is_not_told(self, cast: Cast) -> None:
        acting = Acting(Acts("run.cancel"), ANN, cast.tenant.id)
        with pytest.raises(RuntimeError), acting.on():
            raise RuntimeError
        with acting.on():
            acting.leave_out()
        acting.finish()
        assert entries() == []

    def test_one_that_says_nothing_is_told_at_the_end(self, cast: Cast) -> None:
        acting = Acting(Acts("delivery.redeliver"), ANN, cast.tenant.id, "d1")
        acting.finish()
        acting.finish()
        assert [one.resource_id for one in entries()] == ["d1"]

    def test_a_token_is_named_by_its_record(self, cast: Cast) -> None:
        token, _ = create_token(cast.tenant, "ci")
        actor = Actor(ActorKind.TOKEN, str(token.id))
        record(Acts("run.cancel"), actor, cast.tenant.id)
        with recorded_changes(Changes("tenant.update"), actor, cast.tenant.id):
            Tenant.objects.filter(id=cast.tenant.id).update(name="New")
        assert [one.actor_name for one in entries()] == ["ci", "ci"]

    def test_what_comes_from_outside_can_always_be_stored(self, cast: Cast) -> None:
        hostile = "a\0b\ud800" + "x" * 100_000
        actor = Actor(ActorKind.PERSON, "1", hostile, hostile, hostile)
        record(Acts("run.cancel"), actor, cast.tenant.id, resource_name=hostile)
        with recorded_changes(Changes("tenant.update"), actor, cast.tenant.id):
            Tenant.objects.filter(id=cast.tenant.id).update(name="New")
        for one in entries():
            assert one.user_agent.startswith("ab")
            assert len(one.user_agent) <= 500


class TestAppendOnly:
    @pytest.fixture
    def entry(self, cast: Cast) -> AuditEntry:
        record(Acts("run.cancel"), ANN, cast.tenant.id)
        return AuditEntry.objects.get()

    def test_nothing_is_updated(self, entry: AuditEntry) -> None:
        with pytest.raises(DatabaseError, match="append-only: UPDATE"), transaction.atomic():
            AuditEntry.objects.filter(id=entry.id).update(action="run.replay")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            entry.save()

    def test_nothing_is_deleted(self, entry: AuditEntry) -> None:
        with pytest.raises(DatabaseError, match="append-only: DELETE"), transaction.atomic():
            AuditEntry.objects.all().delete()
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            entry.delete()
        assert AuditEntry.objects.count() == 1

    def test_the_table_is_not_emptied(self, entry: AuditEntry) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('hatchet.audit_flush', '', true)")
            with pytest.raises(DatabaseError, match="append-only: TRUNCATE"), transaction.atomic():
                cursor.execute("TRUNCATE tenants_auditentry")

    def test_the_flag_of_retention_lets_no_new_entry_go(self, entry: AuditEntry) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('hatchet.audit_retention', 'on', true)")
            with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
                cursor.execute("DELETE FROM tenants_auditentry")

    def test_entries_stay_when_their_tenant_is_deleted(self, cast: Cast, entry: AuditEntry) -> None:
        cast.tenant.delete()
        assert AuditEntry.objects.get().tenant_id == entry.tenant_id


class TestRetention:
    def test_old_entries_go_and_that_is_told(self, cast: Cast) -> None:
        now = datetime.now(UTC)
        for days in (400, 399, 3):
            AuditEntry.objects.create(
                tenant_id=cast.tenant.id,
                at=now - timedelta(days=days),
                actor_kind="person",
                action="run.cancel",
                resource_kind="run",
            )
        assert expire(now - timedelta(days=365), at_most=1) == 1
        assert expire(now - timedelta(days=365)) == 1
        assert expire(now - timedelta(days=365)) == 0
        left = entries()
        assert [one.action for one in left] == ["run.cancel", "audit.expire", "audit.expire"]
        assert (left[1].actor_kind, left[1].actor_name) == ("system", "retention")
        assert left[1].after is not None
        assert left[1].after["removed"] == 1

    def test_what_is_younger_than_a_day_is_kept_whatever_is_asked(self, cast: Cast) -> None:
        with pytest.raises(DatabaseError, match="for a day"), transaction.atomic():
            expire(datetime.now(UTC))

    def test_a_role_that_may_only_add_and_read_can_let_old_entries_go(self, cast: Cast) -> None:
        """The stronger set-up of docs/audit.md."""
        record(Acts("run.cancel"), ANN, cast.tenant.id)
        with connection.cursor() as cursor:
            cursor.execute("CREATE ROLE audit_writer")
            cursor.execute("GRANT SELECT, INSERT ON tenants_auditentry TO audit_writer")
            cursor.execute("SET LOCAL ROLE audit_writer")
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                cursor.execute("DELETE FROM tenants_auditentry")
            cursor.execute("SELECT audit_remove_before(now() - interval '30 days', 10)")
            assert cursor.fetchone() == (0,)
            cursor.execute("RESET ROLE")


class TestCommandsAndTheFirstStart:
    def test_a_command_is_told_as_its_users_doing(self, cast: Cast) -> None:
        call_command("createtoken", "--tenant", "acme", "--name", "ci", stdout=StringIO())
        [entry] = entries()
        assert (entry.action, entry.actor_kind) == ("token.create", "cli")
        assert entry.actor_name
        assert entry.user_agent == "manage.py createtoken"
        assert entry.tenant_id == cast.tenant.id

    def test_a_user_made_by_a_command_is_told_with_their_membership(self, cast: Cast) -> None:
        command = ("createuser", "x@acme.test", "--tenant", "acme", "--password", PASSWORD)
        call_command(*command, stdout=StringIO())
        assert [(one.action, one.tenant_id) for one in entries()] == [
            ("user.create", cast.tenant.id),
            ("member.create", cast.tenant.id),
        ]

    def test_the_whole_log_can_be_printed(self, cast: Cast) -> None:
        record(Acts("user.sign_in"), ANN, None)
        record(Acts("run.cancel"), ANN, cast.tenant.id)
        cast.tenant.delete()

        def printed(*options: str) -> list[str]:
            out = StringIO()
            call_command("exportaudit", *options, stdout=out)
            return [json.loads(line)["action"] for line in out.getvalue().splitlines()]

        assert printed() == ["user.sign_in", "run.cancel"]
        assert printed("--action", "user.*") == ["user.sign_in"]
        assert printed("--until", "2000-01-31") == []
        assert printed("--tenant", str(entries()[1].tenant_id)) == ["run.cancel"]
        with pytest.raises(CommandError, match="no id"):
            printed("--tenant", "acme")

    def test_the_first_start_tells_what_it_made_and_the_second_nothing(
        self, installation: Config
    ) -> None:
        bootstrap(installation)
        made = ["tenant.create", "user.create", "member.create", "token.create"]
        assert [one.action for one in entries()] == made
        bootstrap(installation)
        assert len(entries()) == len(made)
        assert APIToken.objects.count() == 1


class TestOtherServices:
    def test_who_comes_in_by_another_service_is_told_with_what_groups_give(
        self, cast: Cast, settings: Settings
    ) -> None:
        here = settings.HATCHET
        people = replace(here.people, allow_signup=True)
        settings.HATCHET = replace(here, people=people)
        admit(Profile("new@acme.test", is_email_verified=True, name="New"), None)
        [entry] = entries()
        assert (entry.action, entry.resource_name) == ("user.register", "new@acme.test")
        assert (entry.actor_kind, entry.actor_name) == ("person", "new@acme.test")
