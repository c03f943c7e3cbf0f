"""The rows: what they hold, what they give away, and what doesn't open."""

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.forms.models import model_to_dict
from django.test import override_settings
from django.utils import timezone
from logins import JANE, NAMESAKE, TOKEN, a_login, a_request, sign_in

from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.models import BitbucketAccount, BitbucketToken
from django_bitbucket_auth.oauth.token import Token

pytestmark = pytest.mark.django_db
SECRETS = ("access-secret", "refresh-secret")
NEW_KEY = "a-new-secret-of-thirty-two-characters!"


@pytest.fixture
def row() -> BitbucketToken:
    sign_in()
    return BitbucketToken.objects.get()


def test_only_reveal_gives_the_token(row: BitbucketToken) -> None:
    assert row.reveal() == TOKEN
    assert row.sealed.startswith("1.")
    shown = [str(row), repr(row), str(vars(row)), str(model_to_dict(row)), repr(row.reveal())]
    assert not any(secret in text for secret in SECRETS for text in shown)


def test_dumps_and_pickles_hold_no_secret(row: BitbucketToken, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("dumpdata")
    dumped = capsys.readouterr().out
    assert row.sealed in dumped
    pickled = pickle.dumps(
        [*BitbucketToken.objects.select_related("account__user"), BitbucketToken.objects.all().query]
    )
    for secret in SECRETS:
        assert secret not in dumped
        assert secret.encode() not in pickled


def test_the_column_holds_no_secret(row: BitbucketToken) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM bitbucket_auth_bitbuckettoken")
        columns = str(cursor.fetchall())
    assert not any(secret in columns for secret in SECRETS)


def test_the_secret_of_oauth_1_and_an_unknown_end_survive() -> None:
    key = "application"
    token = Token("a", "token-secret", "", "", (), None)
    values: dict[str, Any] = BitbucketToken.columns(key, token)
    BitbucketToken.objects.create(key=key, provider="default", instance="i", client_id="c", grant="g", **values)
    row = BitbucketToken.objects.get()
    assert (row.reveal(), row.account) == (token, None)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_the_end_is_the_same_moment_on_a_site_without_time_zones(zone: str) -> None:
    with override_settings(USE_TZ=False, TIME_ZONE=zone):
        values: dict[str, Any] = BitbucketToken.columns("application", TOKEN)
        assert timezone.is_naive(values["expires_at"])
        assert BitbucketToken(key="application", **values).reveal() == TOKEN
        values = BitbucketToken.columns("application", replace(TOKEN, expires_at=None))
        assert values["expires_at"] is None


def test_a_dump_can_be_loaded_again(row: BitbucketToken) -> None:
    dumped = serializers.serialize("json", [row])
    [loaded] = serializers.deserialize("json", dumped)
    loaded.save()
    assert BitbucketToken.objects.get().reveal() == TOKEN
    assert json.loads(dumped)[0]["fields"]["sealed"] == row.sealed


# -- rows that were altered --------------------------------------------------------------------------------------------


@pytest.fixture
def other(row: BitbucketToken) -> BitbucketToken:
    sign_in(replace(NAMESAKE, emails=()))
    return BitbucketToken.objects.exclude(pk=row.pk).get()


def test_a_token_in_anothers_row_does_not_open(row: BitbucketToken, other: BitbucketToken) -> None:
    BitbucketToken.objects.filter(pk=other.pk).update(sealed=row.sealed)
    other.refresh_from_db()
    assert other.reveal() is None


def test_a_row_under_anothers_account_does_not_open(row: BitbucketToken, other: BitbucketToken) -> None:
    other.delete()
    BitbucketToken.objects.filter(pk=row.pk).update(account=other.account)
    [moved] = BitbucketToken.objects.filter(account=other.account)
    assert moved.reveal() is None


def test_a_row_under_anothers_account_and_key_does_not_open(row: BitbucketToken, other: BitbucketToken) -> None:
    other.delete()
    BitbucketToken.objects.filter(pk=row.pk).update(account=other.account, key=other.key)
    assert BitbucketToken.objects.get().reveal() is None


def test_a_row_of_another_provider_does_not_open(row: BitbucketToken) -> None:
    BitbucketToken.objects.update(provider="second")
    assert BitbucketToken.objects.get().reveal() is None


@pytest.mark.parametrize("sealed", ["", "1.", "1.AAAAAAAA.AAAA"])
def test_what_does_not_open_is_no_token_and_one_log_line(
    row: BitbucketToken, sealed: str, caplog: pytest.LogCaptureFixture
) -> None:
    BitbucketToken.objects.update(sealed=sealed)
    row.refresh_from_db()
    assert row.reveal() is None
    [record] = caplog.records
    assert (record.levelname, row.key in record.getMessage()) == ("WARNING", True)


def test_what_does_not_open_is_healed_by_a_sign_in_or_has_to_be_deleted(
    row: BitbucketToken, caplog: pytest.LogCaptureFixture
) -> None:
    assert BitbucketToken(key="nightly", sealed="1.").open() is None
    assert BitbucketToken(key=row.key, account=row.account, provider="default", sealed="1.").open() is None
    messages = [record.getMessage() for record in caplog.records]
    assert ["until its row is deleted" in messages[0], "until the person signs in" in messages[1]] == [True, True]


def test_a_persons_row_that_lost_its_account_does_not_open(row: BitbucketToken) -> None:
    """It would be used, and renewed, whether the person is active or not."""
    BitbucketToken.objects.update(account=None)
    assert BitbucketToken.objects.get().open() is None


def test_the_scopes_that_were_asked_for_are_sealed_along(row: BitbucketToken) -> None:
    assert row.open() == (TOKEN, ())
    values: dict[str, Any] = BitbucketToken.columns("nightly", TOKEN, ("email", "account"))
    assert BitbucketToken(key="nightly", **values).open() == (TOKEN, ("email", "account"))
    assert values["scope"] == "account email"


@pytest.mark.parametrize("key", ["account:1:default", "ACCOUNT:1:x", " account:", "\taccount:x\n", "Account:"])
def test_keys_of_accounts_are_known_by_their_beginning(key: str) -> None:
    assert BitbucketToken.is_account_key(key)
    assert BitbucketToken.is_account_key(BitbucketToken.key_of(key, "default"))


@pytest.mark.parametrize("key", ["", "account", "application:default", "accounts:1", "my account:1"])
def test_other_keys_are_none_of_an_account(key: str) -> None:
    assert not BitbucketToken.is_account_key(key)


def test_keys_can_be_rotated(row: BitbucketToken, settings: Any) -> None:
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW_KEY, settings.SECRET_KEY]
    assert row.reveal() == TOKEN
    sign_in()
    settings.BITBUCKET_AUTH_TOKEN_KEYS = [NEW_KEY]
    assert row.reveal() is None
    row.refresh_from_db()
    assert row.reveal() == TOKEN


def test_a_lost_key_is_healed_by_the_next_sign_in(row: BitbucketToken) -> None:
    with override_settings(BITBUCKET_AUTH_TOKEN_KEYS=[NEW_KEY]):
        sign_in()
        row.refresh_from_db()
        assert row.reveal() == TOKEN


def test_wrong_keys_are_a_configuration_error(row: BitbucketToken) -> None:
    with override_settings(BITBUCKET_AUTH_TOKEN_KEYS="x" * 40), pytest.raises(ConfigurationError):
        row.reveal()


# -- saving ------------------------------------------------------------------------------------------------------------


def test_save_never_writes_the_token_columns_of_an_existing_row(row: BitbucketToken) -> None:
    stale = BitbucketToken.objects.get()
    for name in BitbucketToken.TOKEN_COLUMNS:
        setattr(
            stale, name, 7 if name == "version" else "1.old" if name == "sealed" else None if "_" in name else "old"
        )
    stale.grant = "import"
    stale.save()
    stale.save(update_fields=["sealed", "version"])
    stale.grant, stale.redirect_uri = "not this", "https://example.com/"
    stale.save(update_fields={"sealed", "redirect_uri"})
    saved = BitbucketToken.objects.get()
    assert (saved.grant, saved.redirect_uri) == ("import", "https://example.com/")
    # Disuse is counted from it, and this was no use.
    assert saved.updated_at == row.updated_at
    for name in BitbucketToken.TOKEN_COLUMNS:
        assert getattr(saved, name) == getattr(row, name)


def test_every_column_of_the_pair_and_of_its_lease_is_a_token_column(row: BitbucketToken) -> None:
    written = BitbucketToken.columns("key", TOKEN)
    assert set(written) | {"version"} == BitbucketToken.TOKEN_COLUMNS


def test_save_takes_no_positional_arguments(row: BitbucketToken) -> None:
    """Django 5.2 still takes them, and they would hide `update_fields`."""
    with pytest.raises(TypeError, match="keyword"):
        row.save(False, True)


def test_an_instance_made_by_hand_with_the_id_of_a_row_overwrites_nothing(row: BitbucketToken) -> None:
    values: dict[str, Any] = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    with pytest.raises(IntegrityError):
        BitbucketToken(**{**values, "sealed": "1.old"}).save()


def test_a_plaintext_never_reaches_the_column() -> None:
    values: list[Any] = ["access-secret", "2.x", 5]
    for value in values:
        with pytest.raises(ValueError, match="sealed"):
            BitbucketToken.objects.create(key="k", sealed=value)
        with pytest.raises(ValueError, match="sealed"):
            BitbucketToken.objects.update(sealed=value)
    field = BitbucketToken._meta.get_field("sealed")
    assert isinstance(field, models.Field)
    assert [field.get_prep_value(value) for value in (None, "", "1.x")] == [None, "", "1.x"]


def test_what_no_database_stores_is_left_out() -> None:
    """Bitbucket's words: PostgreSQL takes no U+0000, and none takes half a surrogate pair."""
    odd = replace(TOKEN, token_type="bear\0er\ud800" + "x" * 50, scopes=("acc\0ount", "\ud800", "e mail"))
    BitbucketBackend().authenticate(a_request(), bitbucket_login=a_login(token=odd))
    row = BitbucketToken.objects.get()
    assert (row.token_type, row.scope) == (("bearer" + "x" * 50)[:40], "account email")


# -- identities --------------------------------------------------------------------------------------------------------


def test_an_identity_belongs_to_one_account() -> None:
    user = sign_in()
    for same in ({"uid": JANE.uid}, {"uid": "{x}", "account_id": JANE.account_id}):
        with pytest.raises(IntegrityError), transaction.atomic():
            BitbucketAccount.objects.create(user=user, instance=JANE.instance, **same)
    for number in range(2):
        BitbucketAccount.objects.create(user=user, instance=JANE.instance, uid=f"{{{number}}}")
    assert user.bitbucket_accounts.count() == 3


def test_an_account_keeps_one_token_a_provider(row: BitbucketToken) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        BitbucketToken.objects.create(key="second", account=row.account, provider="default")
    BitbucketToken.objects.create(key="second", account=row.account, provider="second")
    assert BitbucketToken.objects.count() == 2


def test_what_people_read_names_the_person_and_the_instance() -> None:
    account = BitbucketAccount(display_name="Jane Doe", username="jdoe", uid="{x}", instance="bitbucket.org")
    assert str(account) == "Jane Doe (bitbucket.org)"
    account.display_name = ""
    assert str(account) == "jdoe (bitbucket.org)"
    account.username = ""
    assert str(account) == "{x} (bitbucket.org)"
    assert str(BitbucketToken(key="account:1:default")) == "account:1:default"


def test_a_deleted_user_takes_account_and_token_along(row: BitbucketToken) -> None:
    User.objects.all().delete()
    assert not BitbucketAccount.objects.exists()
    assert not BitbucketToken.objects.exists()
