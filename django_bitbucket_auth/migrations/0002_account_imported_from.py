from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bitbucket_auth", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="bitbucketaccount",
            name="imported_from",
            field=models.CharField(blank=True, default="", editable=False, max_length=20, verbose_name="imported from"),
        ),
    ]
