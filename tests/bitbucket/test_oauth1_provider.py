"""A sign-in by OAuth 1.0a: request token, person, verifier, access token, signed requests (security rule 13)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from bitbucket.answers import API, EMAIL, TOKEN, USER, USER_URL, settings
from bitbucket.answers import page as emails_page
from bitbucket.data_center_answers import (
    ACCESS_TOKEN_URL,
    BASE,
    NAME,
    REQUEST_TOKEN_URL,
    WHO_URL,
    data_center_oauth1,
    page,
    play,
)
from bitbucket.data_center_answers import USER as DC_USER
from responses import RequestsMock

from django_bitbucket_auth.bitbucket import Beginning, CloudOAuth1Provider, Email
from django_bitbucket_auth.exceptions import (
    BitbucketUnavailable,
    ClientRefused,
    ConfigurationError,
    ForeignURL,
    OAuthError,
    RateLimited,
    ReauthenticationRequired,
)
from django_bitbucket_auth.oauth.grants import ClientCredentials
from django_bitbucket_auth.oauth.oauth1 import RequestToken, VerifiedRequestToken
from django_bitbucket_auth.oauth.token import Token

CALLBACK = "https://site.example/bitbucket/dc/callback/"
GIVEN = "oauth_token=request-token&oauth_token_secret=request-secret&oauth_callback_confirmed=true"
BEGUN = Beginning(CALLBACK, request_token="request-token", request_secret="request-secret")
GRANT = VerifiedRequestToken(RequestToken("request-token", "request-secret"), "the-verifier", CALLBACK)
SIGNED = Token("access-token", "access-secret", token_type="oauth1")


def cloud(**keys: Any) -> CloudOAuth1Provider:
    given = {"retries": 0, "signature_method": "HMAC-SHA1", **keys}
    return CloudOAuth1Provider(settings(**given))


def protocol_parameters(request: Any) -> dict[str, str]:
    """What stands in the ``Authorization`` header."""
    scheme, _, rest = request.headers["Authorization"].partition(" ")
    assert scheme == "OAuth"
    pairs = (item.split("=", 1) for item in rest.split(", "))
    return {name: unquote(value.strip('"')) for name, value in pairs}


# -- beginning ---------------------------------------------------------------------------------------------------------


def test_a_sign_in_begins_with_a_request_token_for_a_callback_that_carries_the_state(bitbucket: RequestsMock) -> None:
    bitbucket.post(REQUEST_TOKEN_URL, GIVEN)
    begun = data_center_oauth1().begin(CALLBACK, "the-state")
    assert begun == Beginning(
        CALLBACK,
        f"{BASE}/plugins/servlet/oauth/authorize?oauth_token=request-token",
        None,
        "request-token",
        "request-secret",
    )
    [call] = bitbucket.calls
    sent = protocol_parameters(call.request)
    assert sent["oauth_callback"] == f"{CALLBACK}?state=the-state"
    assert (sent["oauth_consumer_key"], sent["oauth_signature_method"]) == ("the-id", "HMAC-SHA1")
    assert "oauth_token" not in sent and "canary-secret" not in str(sent)


def test_the_addresses_of_cloud_are_those_of_passport_bitbucket(bitbucket: RequestsMock) -> None:
    bitbucket.post("https://bitbucket.org/api/1.0/oauth/request_token/", GIVEN)
    bitbucket.post("https://bitbucket.org/api/1.0/oauth/access_token/", "oauth_token=t&oauth_token_secret=s")
    assert cloud().begin(CALLBACK, "s").url == (
        "https://bitbucket.org/api/1.0/oauth/authenticate/?oauth_token=request-token"
    )
    assert cloud().fetch_token(GRANT).token_secret == "s"


def test_they_may_be_set(bitbucket: RequestsMock) -> None:
    mine = "https://old.example.com/oauth/request"
    bitbucket.post(mine, GIVEN)
    assert cloud(endpoints={"request_token": mine}).begin(CALLBACK, "s").request_token == "request-token"


@pytest.mark.parametrize(
    "body",
    [
        "oauth_token=t&oauth_token_secret=s",
        "oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=false",
        "oauth_callback_confirmed=true",
        "",
        "<html>",
    ],
)
def test_a_request_token_for_whose_callback_nobody_vouches_is_not_used(bitbucket: RequestsMock, body: str) -> None:
    """OAuth 1.0's session fixation: the attacker's request token, allowed by the victim."""
    bitbucket.post(REQUEST_TOKEN_URL, body)
    with pytest.raises(OAuthError) as caught:
        data_center_oauth1().begin(CALLBACK, "the-state")
    assert (caught.value.error, caught.value.reason) == ("no_request_token", "bad_answer")


@pytest.mark.parametrize(
    ("token", "secret"),
    [("t" * 2000, "s"), ("t", "s" * 2000), ("t", "%C3%A4" * 500)],
    ids=["a long token", "a long secret", "a secret that needs escapes"],
)
def test_a_request_token_that_no_cookie_can_hold_is_nonsense(bitbucket: RequestsMock, token: str, secret: str) -> None:
    bitbucket.post(REQUEST_TOKEN_URL, f"oauth_token={token}&oauth_token_secret={secret}&oauth_callback_confirmed=true")
    with pytest.raises(OAuthError, match="too long"):
        data_center_oauth1().begin(CALLBACK, "the-state")


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (401, {"WWW-Authenticate": 'OAuth realm="x", oauth_problem="consumer_key_unknown"'}, ClientRefused),
        (401, {"WWW-Authenticate": 'OAuth realm="x", oauth_problem="timestamp_refused"'}, ClientRefused),
        (401, {}, OAuthError),
        (302, {"Location": "https://attacker.example/"}, OAuthError),
        (503, {}, BitbucketUnavailable),
        (429, {"WWW-Authenticate": 'OAuth oauth_problem="user_refused"'}, RateLimited),
    ],
)
def test_a_refused_request_token_says_why(
    bitbucket: RequestsMock, status: int, headers: dict[str, str], kind: type[Exception]
) -> None:
    bitbucket.post(REQUEST_TOKEN_URL, "", status=status, headers=headers)
    with pytest.raises(kind) as caught:
        data_center_oauth1().begin(CALLBACK, "the-state")
    assert type(caught.value) is kind
    assert len(bitbucket.calls) == 1
    if "timestamp_refused" in str(headers):
        assert "clocks" in str(caught.value)


def test_cloud_is_said_to_have_switched_it_off(bitbucket: RequestsMock) -> None:
    bitbucket.post("https://bitbucket.org/api/1.0/oauth/request_token/", "", status=401)
    with pytest.raises(OAuthError, match="since early 2026: use the KIND 'cloud'"):
        cloud().begin(CALLBACK, "s")


# -- the way back ------------------------------------------------------------------------------------------------------


def test_a_verifier_makes_the_request_token_good() -> None:
    grant = data_center_oauth1().grant_from({"oauth_token": "request-token", "oauth_verifier": "the-verifier"}, BEGUN)
    assert grant == GRANT
    assert "verifier" not in repr(grant).replace("VerifiedRequestToken", "") and "secret" not in repr(grant)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"oauth_problem": "permission_denied"}, "cancelled"),
        ({"oauth_problem": "permissions_denied", "oauth_verifier": "v"}, "cancelled"),
        ({"oauth_problem": "user_refused"}, "cancelled"),
        ({}, "cancelled"),
        ({"oauth_verifier": ""}, "cancelled"),
        ({"oauth_problem": "token_expired"}, "state_expired"),
        ({"oauth_problem": "consumer_key_refused"}, "client_refused"),
        ({"oauth_problem": "something else"}, "bad_answer"),
        # Not of this protocol: a code proves nothing here.
        ({"code": "the-code"}, "cancelled"),
    ],
)
def test_anything_else_is_a_refusal(answer: dict[str, str], reason: str) -> None:
    with pytest.raises(OAuthError) as caught:
        data_center_oauth1().grant_from(answer, BEGUN)
    assert caught.value.reason == reason


# -- the access token --------------------------------------------------------------------------------------------------


def test_the_access_token_has_a_secret(bitbucket: RequestsMock) -> None:
    bitbucket.post(
        ACCESS_TOKEN_URL, "oauth_token=access-token&oauth_token_secret=access-secret&oauth_expires_in=157680000"
    )
    token = data_center_oauth1().fetch_token(GRANT)
    assert (token.access_token, token.token_secret, token.refresh_token) == ("access-token", "access-secret", "")
    assert token.expires_at is not None and not token.expired(4 * 365 * 86400)
    sent = protocol_parameters(bitbucket.calls[0].request)
    assert (sent["oauth_token"], sent["oauth_verifier"]) == ("request-token", "the-verifier")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, "", "bad_answer"),
        (200, "oauth_token_secret=s", "bad_answer"),
        (401, "oauth_problem=token_expired", "state_expired"),
        (401, "oauth_problem=token_rejected", "state_expired"),
        (401, "oauth_problem=verifier_invalid", "state_expired"),
        (401, "oauth_problem=permission_denied", "cancelled"),
        (401, "oauth_problem=signature_invalid", "client_refused"),
        (400, "oauth_problem=nonce_used", "client_refused"),
        (401, "", "client_refused"),
        (400, "oauth_problem=whatever", "bad_answer"),
    ],
)
def test_a_refused_exchange_says_why(bitbucket: RequestsMock, status: int, body: str, reason: str) -> None:
    bitbucket.post(ACCESS_TOKEN_URL, body, status=status)
    with pytest.raises(OAuthError) as caught:
        data_center_oauth1().fetch_token(GRANT)
    assert caught.value.reason == reason
    assert len(bitbucket.calls) == 1


def test_grants_of_oauth_2_are_not_sent() -> None:
    talk = data_center_oauth1()
    for ask in (lambda: talk.fetch_token(ClientCredentials()), lambda: talk.implicit_url(CALLBACK, "s")):
        with pytest.raises(ConfigurationError, match=r"speaks OAuth 1\.0a, which has no grant"):
            ask()


# -- who somebody is ---------------------------------------------------------------------------------------------------


def test_data_centers_person_is_asked_for_with_signatures(bitbucket: RequestsMock) -> None:
    play(bitbucket, page(DC_USER))
    assert data_center_oauth1().fetch_profile(SIGNED).username == NAME
    sent = [protocol_parameters(call.request) for call in bitbucket.calls]
    assert [one["oauth_token"] for one in sent] == ["access-token", "access-token"]
    assert sent[0]["oauth_nonce"] != sent[1]["oauth_nonce"]
    assert "access-secret" not in str(sent)


@pytest.mark.parametrize("problem", ["token_rejected", "token_revoked", "token_expired"])
def test_a_refused_token_is_said_to_be_dead(bitbucket: RequestsMock, problem: str) -> None:
    header = {"WWW-Authenticate": f'OAuth realm="x", oauth_problem="{problem}"'}
    bitbucket.get(WHO_URL, "", status=401, headers=header)
    with pytest.raises(ReauthenticationRequired) as caught:
        data_center_oauth1().fetch_profile(SIGNED)
    assert caught.value.error == problem


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, "no oauth_problem=token_revoked here"), (401, '{"errors": [{"message": "oauth_problem=token_revoked"}]}')],
)
def test_a_word_of_the_callers_that_is_repeated_is_no_problem(bitbucket: RequestsMock, status: int, body: str) -> None:
    bitbucket.get(WHO_URL, body, status=status)
    with pytest.raises(OAuthError) as caught:
        data_center_oauth1().fetch_profile(SIGNED)
    assert not isinstance(caught.value, ReauthenticationRequired)


def test_nothing_is_signed_for_another_host() -> None:
    with pytest.raises(ForeignURL):
        data_center_oauth1().get(SIGNED, "https://attacker.example/")


def test_clouds_profile_and_addresses_are_asked_for_with_signatures(bitbucket: RequestsMock) -> None:
    bitbucket.get(USER_URL, json=USER)
    bitbucket.get(f"{API}/2.0/user/emails", json=emails_page(EMAIL))
    profile = cloud().fetch_profile(SIGNED)
    assert (profile.username, profile.email, profile.instance) == ("jdoe", "user@example.org", "bitbucket.org")
    assert all(protocol_parameters(call.request)["oauth_token"] == "access-token" for call in bitbucket.calls)


# -- the 1.0 format ----------------------------------------------------------------------------------------------------

V1_URL = f"{API}/1.0/user/"
V1 = {
    "repositories": [],
    "user": {
        "username": "jdoe",
        "first_name": "Jane",
        "last_name": "Doe",
        "avatar": "https://secure.gravatar.com/avatar/6c43616e?d=identicon&s=32",
        "resource_uri": "/1.0/users/jdoe",
    },
}


def v1(**keys: Any) -> CloudOAuth1Provider:
    return cloud(endpoints={"user": V1_URL}, **keys)


def test_the_end_of_the_users_address_says_its_format(bitbucket: RequestsMock) -> None:
    bitbucket.get(V1_URL, json=V1)
    bitbucket.get(
        f"{API}/1.0/users/jdoe/emails",
        json=[
            {"active": True, "email": "a@example.com", "primary": False},
            {"email": "b@example.com", "primary": True},
        ],
    )
    profile = v1().fetch_profile(SIGNED)
    assert (profile.uid, profile.username, profile.display_name) == ("", "jdoe", "Jane Doe")
    assert (profile.given_name, profile.family_name, profile.instance) == ("Jane", "Doe", "bitbucket.org")
    assert profile.emails == (Email("a@example.com", False, False), Email("b@example.com", True, False))
    assert profile.email is None
    assert urlsplit(str(bitbucket.calls[1].request.url)).path == "/1.0/users/jdoe/emails"


def test_without_a_wish_for_addresses_none_are_asked_for(bitbucket: RequestsMock) -> None:
    bitbucket.get(V1_URL, json=V1)
    assert v1(fetch_emails=False).fetch_profile(SIGNED).emails == ()
    assert len(bitbucket.calls) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(401, "{}"), (403, ""), (404, "<html>"), (500, ""), (200, "<html>"), (200, "{}"), (200, "[7]")]
)
def test_addresses_that_cant_be_read_never_break_a_login(bitbucket: RequestsMock, status: int, body: str) -> None:
    bitbucket.get(V1_URL, json=V1)
    bitbucket.get(f"{API}/1.0/users/jdoe/emails", body, status=status)
    profile = v1().fetch_profile(SIGNED)
    assert (profile.username, profile.emails) == ("jdoe", ())
    assert (profile.emails_error is None) is (status == 200)


def test_a_name_stays_one_part_of_the_path(bitbucket: RequestsMock) -> None:
    bitbucket.get(V1_URL, json={"user": {"username": "../emails?x=1#"}})
    profile = v1().fetch_profile(SIGNED)
    assert (profile.emails, type(profile.emails_error)) == ((), ForeignURL)
    assert len(bitbucket.calls) == 1


def test_the_query_of_a_form_post_is_not_confused_with_the_state(bitbucket: RequestsMock) -> None:
    """What rides in the callback comes back as it went, whatever the redirect URI looks like."""
    bitbucket.post(REQUEST_TOKEN_URL, GIVEN)
    data_center_oauth1().begin("https://[::1]:8000/ä/callback/", "a&b=c d")
    sent = protocol_parameters(bitbucket.calls[0].request)["oauth_callback"]
    assert parse_qsl(urlsplit(sent).query) == [("state", "a&b=c d")]


def test_another_tokens_owner_is_not_asked_for(bitbucket: RequestsMock) -> None:
    """A bearer without a secret is signed with all the same: it is the server's to refuse."""
    bitbucket.get(USER_URL, "", status=401)
    with pytest.raises(OAuthError):
        cloud(fetch_emails=False).fetch_profile(TOKEN)
    assert protocol_parameters(bitbucket.calls[0].request)["oauth_token"] == "canary-token"
