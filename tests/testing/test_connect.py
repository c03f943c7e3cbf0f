"""Connect's grant: an installed app's JWT for a token of the workspace where it's installed."""

import hashlib
import logging
from typing import Any

import jwt
import pytest
from testing.conversation import Conversation, told

from django_bitbucket_auth.testing import Answer, BitbucketSimulator

CONNECT = "urn:bitbucket:oauth2:jwt"
UNAUTHENTICATED = "Requests must be authenticated using OAuth client credentials"
HASH_OF_THE_REQUEST = hashlib.sha256(b"POST&/site/oauth2/access_token&").hexdigest()


def signed(simulator: BitbucketSimulator, secret: str | None = None, **changes: object) -> str:
    """The installed app's JWT; ``None`` leaves a claim out."""
    client, now = simulator.client, int(simulator.now())
    claims: dict[str, object] = {"iss": client.app_key, "sub": client.client_key, "iat": now, "exp": now + 180}
    given = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(given, secret or client.shared_secret, algorithm="HS256")


def connect(talk: Conversation, token: str, scheme: str = "JWT", **form: str) -> Answer:
    return talk.token({"authorization": f"{scheme} {token}"}, grant_type=CONNECT, **form)


@pytest.mark.parametrize("qsh", [None, HASH_OF_THE_REQUEST])
def test_the_installed_app_gets_a_token_for_its_jwt(talk: Conversation, qsh: str | None) -> None:
    answer = connect(talk, signed(talk.simulator, qsh=qsh))
    data = told(answer)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert len(data.pop("access_token")) == 2500
    assert data == {
        "expires_in": 7200,
        "scope": "account email repository",
        "state": CONNECT,
        "token_type": "bearer",
    }


def test_the_jwts_token_stands_for_the_workspace(talk: Conversation) -> None:
    data = told(connect(talk, signed(talk.simulator)))
    acme = talk.simulator.workspaces["acme"]
    talk.simulator.rename_workspace("acme", "acme-inc", "Acme Inc")
    profile = told(talk.api("user", data["access_token"]))
    assert (profile["type"], profile["uuid"]) == ("app_user", acme.uuid)
    assert profile["display_name"] == "Acme Inc"
    assert talk.api("user/workspaces/acme-inc/permission", data["access_token"]).status == 200
    assert talk.simulator.requests[-1].person is None
    del talk.simulator.workspaces["acme-inc"]
    assert talk.api("user", data["access_token"]).status == 401


def test_the_jwts_scopes_can_be_narrowed(talk: Conversation) -> None:
    token = signed(talk.simulator)
    assert told(connect(talk, token, scope="repository"))["scope"] == "repository"
    answer = connect(talk, token, scope="team")
    assert (answer.status, told(answer)["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("scheme", ["jwt", "Jwt", "Bearer", "Basic"])
def test_the_scheme_of_the_jwt_is_case_sensitive(talk: Conversation, scheme: str) -> None:
    answer = connect(talk, signed(talk.simulator), scheme)
    assert answer.status == 400
    assert told(answer) == {"error": "unauthorized_client", "error_description": UNAUTHENTICATED}


def test_a_jwt_is_good_for_its_own_grant_only(talk: Conversation) -> None:
    header = {"authorization": f"JWT {signed(talk.simulator)}"}
    answer = talk.token(header, grant_type="client_credentials")
    assert told(answer)["error_description"] == UNAUTHENTICATED


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secret": "another-secret-that-is-long-enough"}, "Signature verification failed"),
        ({"iss": "another"}, "iss is not the app key"),
        ({"sub": "another"}, "sub is not the client key"),
        ({"iss": None}, '"iss"'),
        ({"sub": None}, '"sub"'),
        ({"iat": None}, '"iat"'),
        ({"exp": None}, '"exp"'),
        ({"iat": "now"}, "have to be numbers"),
        ({"exp": [2000000000]}, "have to be numbers"),
        ({"exp": float("nan")}, "expired or from the future"),
        ({"exp": 1}, "expired or from the future"),
        ({"iat": 9999999999, "exp": 9999999999}, "expired or from the future"),
        ({"exp": 9999999999}, "more than an hour"),
        ({"qsh": "context-qsh"}, "qsh does not match"),
        ({"qsh": hashlib.sha256(b"GET&/site/oauth2/access_token&").hexdigest()}, "qsh does not match"),
    ],
)
def test_a_jwt_that_is_wrong_is_refused(talk: Conversation, changes: dict[str, Any], words: str) -> None:
    answer = connect(talk, signed(talk.simulator, **changes))
    data = told(answer)
    assert (answer.status, data["error"]) == (401, "unauthorized_client")
    assert data["error_description"].startswith("Invalid JWT: ")
    assert words in data["error_description"]
    assert "WWW-Authenticate" not in answer.headers


def test_a_jwt_is_signed_by_hs256(talk: Conversation) -> None:
    claims = jwt.decode(signed(talk.simulator), options={"verify_signature": False})
    long_enough = talk.simulator.client.shared_secret = "s" * 64
    for token in (jwt.encode(claims, long_enough, "HS512"), jwt.encode(claims, "", "none")):
        assert connect(talk, token).status == 401
    assert connect(talk, jwt.encode(claims, long_enough, "HS256")).status == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\N{SNOWMAN}", f"{'W1tb' * 15000}.b.c"])
def test_what_is_no_jwt_is_refused(talk: Conversation, token: str) -> None:
    answer = connect(talk, token)
    assert (answer.status, told(answer)["error"]) == (401, "unauthorized_client")


def test_a_jwt_goes_by_the_simulated_clock(talk: Conversation) -> None:
    token = signed(talk.simulator)
    talk.simulator.move_clock(200)
    assert connect(talk, token).status == 401
    assert connect(talk, signed(talk.simulator)).status == 200


def test_an_app_that_is_installed_nowhere_gets_nothing(talk: Conversation) -> None:
    talk.simulator.client.workspace = "initech"
    answer = connect(talk, signed(talk.simulator))
    assert (answer.status, told(answer)["error_description"]) == (401, "The app is not installed")


def test_nothing_of_it_is_logged(talk: Conversation, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert connect(talk, signed(talk.simulator)).status == 200
        assert connect(talk, "x").status == 401
    assert caplog.messages == []
