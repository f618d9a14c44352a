from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0022_groups_know_who_rests"),
    ]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="stalled_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
