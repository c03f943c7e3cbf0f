"""What ``bitbucket_import`` sees of the project: its URLs, its settings, its databases."""

from __future__ import annotations

import pytest
from django.apps.registry import Apps
from django.core.management import CommandError
from django.db import connections, models
from django.test import override_settings
from django.urls import path
from django.views.generic import RedirectView
from former.models import SocialApp, UserSocialAuth
from former.rows import refused, run

pytestmark = pytest.mark.django_db


def test_it_prints_how_the_callback_urls_stay() -> None:
    said = run("allauth")
    assert 'path("accounts/bitbucket_oauth2/login/callback/", callback),' in said
    assert "BITBUCKET_AUTH['default']['CALLBACK_URL']: https://your-site.example/accounts/bitbucket_oauth2/" in said
    assert 'path("complete/bitbucket-oauth2/", callback),' in run("social-auth")
    said = run("social-auth", "--provider=dc")
    assert 'path("complete/bitbucket-datacenter-oauth2/", callback, {"alias": "dc"}),' in said


#: A package's URL, in a project that has it elsewhere than its documentation.
urlpatterns = [path("oauth/bitbucket/", RedirectView.as_view(url="/"), name="bitbucket_oauth2_callback")]


def test_a_callback_path_of_the_projects_own_is_seen() -> None:
    with override_settings(ROOT_URLCONF=__name__):
        assert 'path("oauth/bitbucket/", callback),' in run("allauth")
        assert 'path("complete/bitbucket-oauth2/", callback),' in run("social-auth")


def test_settings_that_are_wrong_are_said() -> None:
    assert "has no provider 'nowhere'" in refused("allauth", "--provider=nowhere")


class Elsewhere:
    """Accounts live in another database."""

    def db_for_write(self, model: object, **hints: object) -> str:
        return "other"


class OfOthers(models.Model):  # noqa: DJ008
    """Python Social Auth's table, where the project has told it of another model of users."""

    user = models.ForeignKey(SocialApp, models.DO_NOTHING, related_name="+")

    class Meta:
        apps = Apps()
        app_label = "former"
        db_table = "social_auth_usersocialauth"


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_a_database_without_the_table_or_with_other_users_is_said() -> None:
    other = connections["other"]
    with override_settings(DATABASE_ROUTERS=[f"{__name__}.Elsewhere"]):
        try:
            with other.schema_editor() as editor:
                editor.delete_model(UserSocialAuth)
            with pytest.raises(CommandError, match="The database 'other' has no table social_auth_usersocialauth"):
                run("social-auth")
            with other.schema_editor() as editor:
                editor.create_model(OfOthers)
            with pytest.raises(CommandError, match="are in socialaccount_socialapp, and those of AUTH_USER_MODEL in"):
                run("social-auth")
            with other.schema_editor() as editor:
                editor.delete_model(OfOthers)
        finally:
            with other.schema_editor() as editor:
                editor.create_model(UserSocialAuth)
        assert "0 of 0" in run("social-auth")
