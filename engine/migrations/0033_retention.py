from pathlib import Path

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

SQL = (Path(__file__).parent / "sql" / "0033_retention.sql").read_text()
UNDO = "DROP FUNCTION engine_drop_day(text[], text);"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("engine", "0032_log_search"), ("tenants", "0008_retention")]

    operations = [
        migrations.RunSQL(SQL, UNDO),
        AddIndexConcurrently(
            model_name="stepwait",
            index=models.Index(
                fields=["event_id"],
                condition=models.Q(event_id__isnull=False),
                name="step_wait_of_event",
            ),
        ),
    ]
