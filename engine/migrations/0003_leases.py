from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0003_leases.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("engine", "0002_partitions")]
    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
