from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0017_groups_by_time"),
    ]

    operations = [
        migrations.AddField(
            model_name="durableentry",
            name="recorded_after",
            field=models.BigIntegerField(blank=True, null=True),
        ),
    ]
