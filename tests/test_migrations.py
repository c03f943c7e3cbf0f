"""Migrations: complete, and for whichever database is asked."""

import io

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections, models

from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken

TABLES = {"bitbucket_auth_bitbucketaccount", "bitbucket_auth_bitbuckettoken"}


@pytest.mark.django_db
def test_the_models_have_no_changes_that_no_migration_has() -> None:
    out = io.StringIO()
    call_command("makemigrations", "--check", "--dry-run", stdout=out)
    assert "No changes detected" in out.getvalue()


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_migrate_works_on_the_database_that_is_asked() -> None:
    call_command("migrate", "bitbucket_auth", "zero", database="other", verbosity=0)
    assert not TABLES & set(connections["other"].introspection.table_names())
    assert set(connections["default"].introspection.table_names()) >= TABLES
    call_command("migrate", "bitbucket_auth", database="other", verbosity=0)
    assert set(connections["other"].introspection.table_names()) >= TABLES


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_a_column_that_is_changed_on_sqlite_keeps_its_index() -> None:
    """SQLite makes the table anew, by another name first."""
    before, after = BitbucketAccount._meta.get_field("email"), models.EmailField(max_length=300)
    after.set_attributes_from_name("email")
    after.model = BitbucketAccount

    def index() -> str:
        with connections["other"].cursor() as cursor:
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'bitbucket_account_email'")
            return str(cursor.fetchone()[0])

    known = index()
    assert known.endswith('ON "bitbucket_auth_bitbucketaccount" ("email" COLLATE NOCASE)')
    for old, new in ((before, after), (after, before)):
        with connections["other"].schema_editor() as editor:
            editor.alter_field(BitbucketAccount, old, new)
        assert index() == known


@pytest.mark.django_db(databases=["default", "other"])
def test_the_other_database_keeps_rows_of_its_own() -> None:
    user = User.objects.using("other").create(username="jane")
    account = BitbucketAccount.objects.using("other").create(user=user, instance="bitbucket.org", uid="{x}")
    BitbucketToken.objects.using("other").create(key="k", account=account)
    assert account.tokens.get().key == "k"
    assert not BitbucketAccount.objects.exists()


def test_the_app_is_called_as_the_contract_says() -> None:
    config = apps.get_app_config("bitbucket_auth")
    assert (config.name, config.label) == ("django_bitbucket_auth", "bitbucket_auth")
    assert config.default_auto_field == "django.db.models.BigAutoField"
    assert str(config.verbose_name) == "Bitbucket"
