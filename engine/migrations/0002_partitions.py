from pathlib import Path

from django.db import migrations

SQL = (Path(__file__).parent / "sql" / "0002_partitions.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("engine", "0001_initial")]
    operations = [migrations.RunSQL(SQL, migrations.RunSQL.noop)]
