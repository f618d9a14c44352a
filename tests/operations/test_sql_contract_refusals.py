"""Whom and what `hatchet_v1` refuses, before anything is stored."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from django.utils import timezone

from engine.ids import new_id
from tenants.models import Tenant
from tests.operations.contract import ENQUEUE, READ, Contract, refused

INVALID, NOT_ALLOWED, TOO_MUCH = "22023", "42501", "54000"


@pytest.fixture
def contract(db: None) -> Contract:
    return Contract()


def stranger(contract: Contract) -> UUID:
    return UUID(str(Tenant.objects.create(name="Other", slug=f"other-{new_id()}").pk))


DEEP = "{" + '"a":{' * 250 + "}" * 251
LARGE = json.dumps({"a": "x" * (4 * 1024 * 1024)})
BAD_OBJECTS = [
    ("[1]", INVALID, "must be a JSON object, not of type array"),
    ('"text"', INVALID, "must be a JSON object, not of type string"),
    ("7", INVALID, "must be a JSON object"),
    (DEEP, TOO_MUCH, "nested more than 250 levels deep"),
    (LARGE, TOO_MUCH, "more than 4 MiB"),
    ('{"a": 1e400}', "22003", "does not fit into a double"),
    ('{"a": [-1e309]}', "22003", "does not fit into a double"),
    ('{"a": "\\u0000"}', "22P05", "unsupported Unicode escape sequence"),
    ('{"a": "\\ud800"}', "22P02", "invalid input syntax"),
    ('{"a": ', "22P02", "invalid input syntax"),
]


class TestBadInput:
    @pytest.mark.parametrize(
        "call",
        [
            "hatchet_v1.enqueue('flow', %s::jsonb)",
            "hatchet_v1.enqueue_many('flow', ARRAY['{}', %s]::jsonb[])",
            "hatchet_v1.enqueue('flow', metadata => %s::jsonb)",
            "hatchet_v1.push_event('key', %s::jsonb)",
            "hatchet_v1.schedule('flow', now(), %s::jsonb)",
        ],
    )
    @pytest.mark.parametrize(
        ("given", "sqlstate", "words"), BAD_OBJECTS, ids=range(len(BAD_OBJECTS))
    )
    def test_what_is_no_object_within_bounds_is_refused(
        self, contract: Contract, call: str, given: str, sqlstate: str, words: str
    ) -> None:
        with refused(sqlstate, words):
            contract.call(call, given)

    def test_what_is_just_within_bounds_is_taken(self, contract: Contract) -> None:
        deepest = json.loads("{" + '"a":{' * 249 + "}" * 250)
        largest = {"a": 17 * 10**307, "b": "0" * 400, "c": "{" * 300}
        runs = [contract.enqueue(deepest), contract.enqueue(largest)]
        contract.take()
        found = {row["id"]: row["input"] for row in contract.rows("runs")}
        assert found == {str(runs[0]): deepest, str(runs[1]): largest}

    @pytest.mark.parametrize(
        ("call", "sqlstate", "words"),
        [
            ("enqueue('nobody')", "P0002", 'workflow "nobody" is not known'),
            ("enqueue('')", INVALID, "workflow is required"),
            ("enqueue(NULL)", INVALID, "workflow is required"),
            ("enqueue(repeat('w', 256))", INVALID, "longer than 255"),
            ("enqueue('flow', priority => 4)", INVALID, "priority must be 1, 2 or 3, not 4"),
            ("enqueue('flow', priority => 99999999999)", "42883", "does not exist"),
            ("enqueue('flow', run_after => 'infinity')", INVALID, "ten years"),
            ("enqueue('flow', key => '')", INVALID, "key is required"),
            ("enqueue('flow', key => repeat('k', 1001))", INVALID, "longer than 1000"),
            ("enqueue('flow', key => 'k', key_ttl => '-1 s')", INVALID, "key_ttl"),
            ("enqueue('flow', key => 'k', key_ttl => '11 years')", INVALID, "key_ttl"),
            ("enqueue_many('flow', array_fill('{}'::jsonb, ARRAY[100001]))", TOO_MUCH, "100,000"),
            (
                "enqueue('flow', metadata => ('{\"a\": ' || repeat('9', 1001) || 'e-900}')::jsonb)",
                TOO_MUCH,
                "1,000 digits",
            ),
            ("push_event('  ')", INVALID, "key is required"),
            ("push_event('k', scope => repeat('s', 1001))", INVALID, "scope is longer"),
            ("schedule('flow', NULL)", INVALID, "run_at must be"),
            ("schedule('flow', '-infinity')", INVALID, "run_at must be"),
            ("schedule('flow', '0900-01-01')", INVALID, "run_at must be"),
            ("schedule('nobody', now())", "P0002", "is not known"),
            ("cancel(NULL)::text", INVALID, "id is required"),
            ("complete(NULL, 0)::text", INVALID, "are required"),
            ("complete(gen_random_uuid(), 0, '[]')::text", INVALID, "output must be a JSON object"),
        ],
    )
    def test_wrong_arguments_are_refused(
        self, contract: Contract, call: str, sqlstate: str, words: str
    ) -> None:
        with refused(sqlstate, words):
            contract.call(f"hatchet_v1.{call}")


class TestRoles:
    def test_a_role_without_a_tenant_is_refused(self, contract: Contract) -> None:
        nobody = contract.make_role(ENQUEUE, READ)
        with refused(NOT_ALLOWED, f'the database role "{nobody}" belongs to no active tenant'):
            contract.call("hatchet_v1.enqueue('flow')", role=nobody)
        with refused(NOT_ALLOWED, "belongs to no active tenant"):
            contract.call("count(*) FROM hatchet_v1.runs", role=nobody)

    def test_a_role_without_membership_may_nothing(self, contract: Contract) -> None:
        outsider = contract.make_role()
        contract.map(outsider, contract.bench.tenant_id)
        with refused(NOT_ALLOWED, "permission denied for schema hatchet_v1"):
            contract.call("hatchet_v1.enqueue('flow')", role=outsider)

    def test_a_reader_starts_nothing(self, contract: Contract) -> None:
        reader = contract.make_role(READ)
        contract.map(reader, contract.bench.tenant_id)
        assert contract.call("count(*) FROM hatchet_v1.runs", role=reader) == 0
        for call in ("enqueue('flow')", "cancel(gen_random_uuid())", "push_event('k')"):
            with refused(NOT_ALLOWED, "permission denied for function"):
                contract.call(f"hatchet_v1.{call}::text", role=reader)

    def test_one_that_enqueues_reads_nothing(self, contract: Contract) -> None:
        app = contract.make_role(ENQUEUE)
        contract.map(app, contract.bench.tenant_id)
        contract.call("hatchet_v1.enqueue('flow')", role=app)
        with refused(NOT_ALLOWED, "permission denied for view"):
            contract.call("count(*) FROM hatchet_v1.runs", role=app)

    def test_nobody_reaches_the_tables_or_what_the_functions_are_made_of(
        self, contract: Contract
    ) -> None:
        for table in ("engine_run", "engine_outboxrow", "engine_outboxkey", "engine_sqlrole"):
            with refused(NOT_ALLOWED, "permission denied for table"):
                contract.call(f"count(*) FROM {table}")
        tenant_id = contract.bench.tenant_id
        for call in (
            f"claim_key('{tenant_id}', 'k', gen_random_uuid(), '1 day')",
            f"hint('{tenant_id}')",
            f"check_workflow('{tenant_id}', 'flow')",
        ):
            with refused(NOT_ALLOWED, "permission denied for function"):
                contract.call(f"hatchet_v1.{call}::text")

    def test_another_tenant_is_not_to_be_chosen(self, contract: Contract) -> None:
        other = stranger(contract)
        for wanted in (str(other), "no uuid", "'; DROP TABLE engine_run; --"):
            with refused(NOT_ALLOWED, "may not act for the tenant"), contract.acting() as cursor:
                cursor.execute("SELECT set_config('hatchet.tenant', %s, true)", [wanted])
                cursor.execute("SELECT hatchet_v1.enqueue('flow')")

    def test_a_role_of_several_tenants_chooses_one(self, contract: Contract) -> None:
        contract.map(contract.role, stranger(contract))
        with refused(NOT_ALLOWED, "belongs to several tenants"):
            contract.enqueue()
        with contract.acting() as cursor:
            cursor.execute(f"SET LOCAL hatchet.tenant = '{contract.bench.tenant_id}'")
            cursor.execute("SELECT hatchet_v1.enqueue('flow')")
        assert contract.waiting() == 1

    def test_an_archived_tenant_starts_nothing_and_what_waits_does_wait(
        self, contract: Contract
    ) -> None:
        contract.enqueue()
        Tenant.objects.filter(id=contract.bench.tenant_id).update(archived_at=timezone.now())
        with refused(NOT_ALLOWED, "belongs to no active tenant"):
            contract.enqueue()
        assert (contract.take().rows, contract.waiting()) == (0, 1)

    def test_a_temporary_table_is_not_taken_for_ours(self, contract: Contract) -> None:
        victim = stranger(contract)
        with refused("P0002", "is not known"), contract.acting() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE engine_sqlrole (role text, tenant_id uuid)")
            cursor.execute(f"INSERT INTO engine_sqlrole VALUES (current_user, '{victim}')")
            cursor.execute("CREATE TEMPORARY TABLE engine_workflow (name text)")
            cursor.execute("INSERT INTO engine_workflow VALUES ('mine')")
            cursor.execute("SET LOCAL search_path = pg_temp, public")
            cursor.execute("SELECT hatchet_v1.enqueue('mine')")
