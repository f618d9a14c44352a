from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0027_event_targets.sql").read_text()
UNDO = """
DROP FUNCTION engine_hold_event_targets(uuid, text[], text[], text[]);
DROP FUNCTION engine_event_targets(uuid, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("engine", "0026_audit")]
    operations = [migrations.RunSQL(SQL, UNDO)]
