"""The backend: what it takes for a proof, and what it leaves to ModelBackend."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib import auth
from django.contrib.auth.models import Permission, User
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest
from django.test import override_settings
from logins import JANE, a_login, a_request, sign_in

from django_bitbucket_auth import backends
from django_bitbucket_auth.backends import BitbucketBackend
from django_bitbucket_auth.bitbucket import Profile
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.hooks import BitbucketLogin
from django_bitbucket_auth.models import BitbucketAccount

OURS = "django_bitbucket_auth.backends.BitbucketBackend"
MODEL = "django.contrib.auth.backends.ModelBackend"


class Derived(BitbucketBackend):
    """A project's own."""

    def username_for(self, profile: Profile) -> str:
        return f"{profile.nickname}.{profile.family_name}"

    def create_user(self, request: HttpRequest, login: BitbucketLogin, fields: dict[str, Any]) -> User:
        return super().create_user(request, login, {**fields, "is_staff": True})

    def update_user(self, request: HttpRequest, user: User, login: BitbucketLogin, account: BitbucketAccount) -> None:
        user.last_name = account.username
        user.save()


class Finder(BitbucketBackend):
    """Knows people from elsewhere."""

    def find_user(self, request: HttpRequest, login: BitbucketLogin) -> User | None:
        return User.objects.filter(username=f"import-{login.profile.nickname}").first()


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"bitbucket_login": None},
        {"bitbucket_login": JANE},
        {"bitbucket_login": "jane"},
        {"bitbucket_login": True},
        {"profile": JANE},
        {"username": "jane", "password": "correct horse"},
        {"password": "correct horse"},
        {"username": "jane"},
    ],
    ids=str,
)
@pytest.mark.django_db
def test_nothing_but_a_redeemed_code_is_a_proof(credentials: dict[str, Any]) -> None:
    """A token or a profile that is handed in proves nothing; a password is ModelBackend's affair."""
    User.objects.create_user("jane", password="correct horse")
    backend = BitbucketBackend()
    assert backend.authenticate(a_request(), **credentials) is None
    assert async_to_sync(backend.aauthenticate)(a_request(), **credentials) is None


@pytest.mark.parametrize(
    "also", [{"username": "jane"}, {"username": ""}, {"password": "x"}, {"password": ""}, {"token": "x"}], ids=str
)
@pytest.mark.django_db
def test_a_proof_with_anything_beside_it_is_none(also: dict[str, Any]) -> None:
    assert BitbucketBackend().authenticate(a_request(), bitbucket_login=a_login(), **also) is None
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_proof_without_a_request_is_none() -> None:
    assert BitbucketBackend().authenticate(None, bitbucket_login=a_login()) is None
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_proof_signs_in_asynchronously_too() -> None:
    user = async_to_sync(BitbucketBackend().aauthenticate)(a_request(), bitbucket_login=a_login())
    assert user == User.objects.get()


@pytest.mark.django_db
@override_settings(AUTHENTICATION_BACKENDS=[OURS])
def test_a_password_is_no_way_in() -> None:
    User.objects.create_user("jane", password="correct horse")
    told: list[dict[str, Any]] = []

    def tell(credentials: dict[str, Any], **kwargs: Any) -> None:
        told.append(credentials)

    user_login_failed.connect(tell)
    try:
        assert auth.authenticate(a_request(), username="jane", password="correct horse") is None
    finally:
        assert user_login_failed.disconnect(tell)
    assert "correct horse" not in str(told)


@pytest.mark.django_db
def test_permissions_and_the_session_are_model_backends() -> None:
    user = sign_in()
    backend = BitbucketBackend()
    permission = Permission.objects.get(codename="view_bitbucketaccount")
    user.user_permissions.add(permission)
    assert backend.has_perm(user, "bitbucket_auth.view_bitbucketaccount")
    assert backend.get_user(user.pk) == user
    User.objects.update(is_active=False)
    assert backend.get_user(user.pk) is None


@pytest.mark.django_db
def test_naming_creating_and_updating_can_be_overridden() -> None:
    user = sign_in(backend=Derived())
    user.refresh_from_db()
    assert (user.username, user.is_staff, user.last_name) == ("jane.Doe", True, "Doe")
    sign_in(backend=Derived())
    user.refresh_from_db()
    assert user.last_name == ""


@pytest.mark.django_db
def test_finding_can_be_overridden() -> None:
    imported = User.objects.create_user("import-jane", password="correct horse")
    assert sign_in(backend=Finder()) == imported
    imported.refresh_from_db()
    assert imported.check_password("correct horse")


@pytest.mark.django_db
def test_a_name_that_the_user_model_refuses_is_a_configuration_error() -> None:
    class Spaced(BitbucketBackend):
        def username_for(self, profile: Profile) -> str:
            return "with space"

    with pytest.raises(ConfigurationError, match="username"):
        sign_in(backend=Spaced())
    assert not User.objects.exists()


def test_the_first_bitbucket_backend_is_the_one() -> None:
    assert backends.installed()[0] == OURS
    with override_settings(AUTHENTICATION_BACKENDS=[MODEL, f"{__name__}.Derived", OURS]):
        path, backend = backends.installed()
        assert (path, type(backend).__name__) == (f"{__name__}.Derived", "Derived")


@override_settings(AUTHENTICATION_BACKENDS=[MODEL])
def test_without_one_the_site_is_misconfigured() -> None:
    with pytest.raises(ConfigurationError, match="BitbucketBackend"):
        backends.installed()
