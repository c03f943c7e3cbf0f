"""The tree of exceptions, as the contract draws it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from django_bitbucket_auth import exceptions, phrases

TREE: dict[str, tuple[str, str]] = {
    "ConfigurationError": ("BitbucketAuthError", "misconfigured"),
    "LoginRefused": ("BitbucketAuthError", "vetoed"),
    "StateError": ("BitbucketAuthError", "state_missing"),
    "OAuthError": ("BitbucketAuthError", "bad_answer"),
    "ClientRefused": ("OAuthError", "client_refused"),
    "ReauthenticationRequired": ("OAuthError", "bad_answer"),
    "InsufficientScope": ("OAuthError", "insufficient_scope"),
    "NotConnected": ("BitbucketAuthError", "inactive"),
    "ProfileError": ("BitbucketAuthError", "no_stable_id"),
    "ForeignURL": ("BitbucketAuthError", "bad_answer"),
    "BitbucketUnavailable": ("BitbucketAuthError", "unavailable"),
    "RateLimited": ("BitbucketUnavailable", "rate_limited"),
    "BitbucketTimeout": ("BitbucketUnavailable", "timed_out"),
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "StateError": ("x", "state_missing"),
    "OAuthError": ("x", "y", 400),
    "ClientRefused": ("x", "y", 400),
    "InsufficientScope": (("account",), ()),
    "ProfileError": ("x", "uuid"),
}


def made(name: str) -> exceptions.BitbucketAuthError:
    error = getattr(exceptions, name)(*ARGUMENTS.get(name, ("x",)))
    assert isinstance(error, exceptions.BitbucketAuthError)
    return error


def test_the_tree_is_complete() -> None:
    found = {
        name
        for name, kind in vars(exceptions).items()
        if inspect.isclass(kind) and kind.__module__ == exceptions.__name__
    }
    assert found == {"BitbucketAuthError", *TREE}


@pytest.mark.parametrize("name", TREE)
def test_each_has_its_place_in_the_tree(name: str) -> None:
    parent, _ = TREE[name]
    assert getattr(exceptions, name).__bases__[0] is getattr(exceptions, parent)


@pytest.mark.parametrize("name", TREE)
def test_the_drawing_in_the_docstring_shows_each(name: str) -> None:
    assert f"── {name}" in (exceptions.__doc__ or "")


@pytest.mark.parametrize("name", TREE)
def test_each_carries_a_reason_that_the_error_page_knows(name: str) -> None:
    assert made(name).reason == TREE[name][1]
    assert made(name).reason in phrases.REASONS


def test_a_configuration_error_is_djangos_improperly_configured() -> None:
    assert issubclass(exceptions.ConfigurationError, ImproperlyConfigured)


def test_a_refusal_says_what_the_person_reads() -> None:
    refusal = exceptions.LoginRefused("Not on Sundays.", "inactive")
    assert (str(refusal), refusal.message, refusal.reason) == ("Not on Sundays.", "Not on Sundays.", "inactive")
    assert (exceptions.LoginRefused().message, exceptions.LoginRefused().reason) == ("", "vetoed")


def test_a_refusal_tells_the_log_the_cause_and_else_what_the_person_reads() -> None:
    assert str(exceptions.LoginRefused("Not on Sundays.", cause="the calendar")) == "the calendar"
    assert exceptions.LoginRefused("Not on Sundays.", cause="the calendar").message == "Not on Sundays."
    assert str(exceptions.LoginRefused(gettext_lazy("No"))) == "No"  # type: ignore[arg-type]


def test_a_reason_given_to_one_error_is_not_the_next_ones() -> None:
    assert exceptions.OAuthError("x", reason="cancelled").reason == "cancelled"
    assert exceptions.OAuthError("x").reason == "bad_answer"
    assert exceptions.ProfileError("x", "type", reason="not_a_person").reason == "not_a_person"
    assert exceptions.ProfileError("x", "type").reason == "no_stable_id"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("invalid_grant", "No such code", 400), "'invalid_grant': 'No such code' (HTTP 400)"),
        (("invalid_grant", "", 400), "'invalid_grant' (HTTP 400)"),
        (("access_denied", "The person said no"), "'access_denied': 'The person said no'"),
        (("access_denied",), "'access_denied'"),
        (("x", "", 0), "'x' (HTTP 0)"),
    ],
)
def test_an_oauth_error_tells_what_was_said(arguments: tuple[Any, ...], text: str) -> None:
    assert str(exceptions.OAuthError(*arguments)) == text


def test_bitbuckets_words_stay_on_one_short_line() -> None:
    """They can come by way of the browser: anybody may write them."""
    evil = "x\r\nERROR forged\x1b[31m\ud800\x00" * 1000
    error = exceptions.OAuthError(evil, evil)
    assert (len(error.error), len(error.description)) == (200, 500)
    assert len(str(error).splitlines()) == 1
    assert str(error).isprintable()
    assert repr(error).isprintable()


@pytest.mark.parametrize(
    ("required", "granted", "text"),
    [
        (("account", "email"), ("team",), "required: account email; granted: team"),
        (("account",), (), "required: account; granted: none"),
        ((), (), "required: unknown; granted: none"),
    ],
)
def test_a_missing_scope_tells_what_is_missing(required: tuple[str, ...], granted: tuple[str, ...], text: str) -> None:
    error = exceptions.InsufficientScope(required, granted)
    assert (error.required, error.granted) == (required, granted)
    assert str(error) == f"'insufficient_scope': {text!r} (HTTP 403)"


def test_an_oauth_error_tells_what_is_known_of_the_cause() -> None:
    error = exceptions.OAuthError("invalid_grant", "No", 400, hint="Since May")
    assert (error.hint, str(error)) == ("Since May", "'invalid_grant': 'No' (HTTP 400). Since May")


@pytest.mark.parametrize("name", ["BitbucketUnavailable", "RateLimited", "BitbucketTimeout"])
def test_what_is_temporary_says_when_to_come_back_if_it_is_known(name: str) -> None:
    kind = getattr(exceptions, name)
    assert kind("x").retry_after is None
    assert kind("x", 30.0).retry_after == 30.0
    assert str(kind("x", 30.0)) == "x"
    assert (kind("x").status, kind("x", None, 503).status) == (None, 503)


def test_a_profile_error_names_the_member() -> None:
    error = exceptions.ProfileError("the profile has no uuid", "uuid")
    assert (str(error), error.field) == ("the profile has no uuid", "uuid")
