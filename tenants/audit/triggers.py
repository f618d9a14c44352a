"""The triggers that write the audit log, made by migrations: `RunSQL(*audited_table(...))`.

They do nothing unless the transaction has said who is at work, so that what the engine writes costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence


def audited_table(
    table: str,
    kind: str,
    *,
    shown: Sequence[str],
    withheld: Sequence[str] = (),
    ignored: Sequence[str] = (),
    identity: str = "id",
    name: str = "{row}.name",
    tenant: str = "{row}.tenant_id",
    on: str = "INSERT OR DELETE OR UPDATE",
) -> tuple[str, str]:
    """Return the SQL that makes the trigger of a table, and the SQL that drops it.

    `shown` columns are told with their values; of `withheld` ones only that they have changed; `ignored`
    ones are no part of what people decide. `name` and `tenant` are expressions over `{row}`. All columns
    must be in one of the three, which a test checks by the function's comment.
    """
    about = {"kind": kind, "shown": shown, "withheld": withheld, "ignored": ignored}
    columns = ", ".join(f'"{column}"' for column in (*shown, *withheld))
    events = on.replace("UPDATE", f"UPDATE OF {columns}")
    make = f"""
CREATE OR REPLACE FUNCTION {table}_audited() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    subject record;
    before jsonb;
    after jsonb;
BEGIN
    IF TG_OP = 'DELETE' THEN subject := OLD; ELSE subject := NEW; END IF;
    IF TG_OP <> 'INSERT' THEN before := {_object("OLD", shown)}; END IF;
    IF TG_OP <> 'DELETE' THEN after := {_object("NEW", shown)}; END IF;
    IF TG_OP = 'UPDATE' THEN
{_withheld(withheld)}
    END IF;
    PERFORM audit_change('{kind}', TG_OP, {tenant.format(row="subject")}, subject."{identity}"::text,
                         {name.format(row="subject")}, before, after);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION {table}_audited() IS '{json.dumps(about)}';
CREATE OR REPLACE TRIGGER audited AFTER {events} ON {table} FOR EACH ROW
    WHEN (current_setting('hatchet.audit', true) <> '') EXECUTE FUNCTION {table}_audited();
"""
    return make, f"DROP TRIGGER audited ON {table}; DROP FUNCTION {table}_audited();"


def _object(row: str, columns: Sequence[str]) -> str:
    pairs = ", ".join(f"""'{column}', {row}."{column}\"""" for column in columns)
    return f"jsonb_build_object({pairs})"


def _withheld(columns: Sequence[str]) -> str:
    """A withheld column that changes is told as changed, from nothing to nothing."""
    lines = [
        f"""        IF OLD."{column}" IS DISTINCT FROM NEW."{column}" THEN
            before := before || '{{"{column}": "(withheld)"}}';
            after := after || '{{"{column}": "(withheld, changed)"}}';
        END IF;"""
        for column in columns
    ]
    return "\n".join(lines or ["        NULL;"])
