from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bitbucket_auth", "0003_account_search"),
    ]

    operations = [
        migrations.AddField(
            model_name="bitbucketaccount",
            name="asked_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="asked at"),
        ),
        migrations.AddField(
            model_name="bitbucketaccount",
            name="checked_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="checked at"),
        ),
        migrations.AddField(
            model_name="bitbucketaccount",
            name="asked_by",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=40, verbose_name="asked by"
            ),
        ),
        migrations.AddField(
            model_name="bitbucketaccount",
            name="answer",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=20, verbose_name="answer"
            ),
        ),
    ]
