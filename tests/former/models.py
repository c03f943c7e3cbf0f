"""django-allauth's tables, and that of Python Social Auth. A user may be missing, as after a DELETE by hand."""

from typing import Any

from django.conf import settings
from django.db import models


def _user() -> Any:
    return models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="+", db_constraint=False)


class SocialApp(models.Model):  # noqa: DJ008
    provider = models.CharField(max_length=30)
    client_id = models.CharField(max_length=191)

    class Meta:
        db_table = "socialaccount_socialapp"


class SocialAccount(models.Model):  # noqa: DJ008
    user = _user()
    provider = models.CharField(max_length=200)
    uid = models.CharField(max_length=191)
    last_login = models.DateTimeField(auto_now=True)
    date_joined = models.DateTimeField(auto_now_add=True)
    extra_data = models.JSONField(default=dict)

    class Meta:
        db_table = "socialaccount_socialaccount"


class SocialToken(models.Model):  # noqa: DJ008
    app = models.ForeignKey(SocialApp, models.SET_NULL, null=True)
    account = models.ForeignKey(SocialAccount, models.CASCADE)
    token = models.TextField()
    token_secret = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "socialaccount_socialtoken"


class UserSocialAuth(models.Model):  # noqa: DJ008
    user = _user()
    provider = models.CharField(max_length=32)
    uid = models.CharField(max_length=255, db_index=True)
    # Until 5.0 it was a text.
    extra_data = models.TextField(default="{}")
    created = models.DateTimeField(auto_now_add=True)
    modified = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "social_auth_usersocialauth"
