from django.db import migrations, models

from django_bitbucket_auth.indexes import PrefixIndex


class Migration(migrations.Migration):
    dependencies = [
        ("bitbucket_auth", "0002_account_imported_from"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="bitbucketaccount",
            index=PrefixIndex(fields=["username"], name="bitbucket_account_username"),
        ),
        migrations.AddIndex(
            model_name="bitbucketaccount",
            index=PrefixIndex(fields=["display_name"], name="bitbucket_account_display_name"),
        ),
        migrations.AddIndex(
            model_name="bitbucketaccount",
            index=PrefixIndex(fields=["email"], name="bitbucket_account_email"),
        ),
        migrations.AddIndex(
            model_name="bitbucketaccount",
            index=models.Index(fields=["uid"], name="bitbucket_account_uid"),
        ),
        migrations.AddIndex(
            model_name="bitbucketaccount",
            index=models.Index(fields=["account_id"], name="bitbucket_account_account_id"),
        ),
        migrations.AddIndex(
            model_name="bitbucketaccount",
            index=models.Index(fields=["provider", "id"], name="bitbucket_account_provider"),
        ),
        migrations.AddIndex(
            model_name="bitbuckettoken",
            index=models.Index(fields=["lost_at"], name="bitbucket_token_lost_at"),
        ),
    ]
