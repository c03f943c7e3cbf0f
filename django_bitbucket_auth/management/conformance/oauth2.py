"""What is expected of the token endpoint and of the page that asks people."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from ... import conf
from ...bitbucket import Provider
from ...exceptions import ClientRefused, OAuthError
from ...oauth.grants import AuthorizationCode, ClientCredentials
from ...oauth.oauth2 import code_verifier
from ..doctor.credentials import made_up
from .cases import Case, is_cloud_by_oauth2, is_data_center_by_oauth2, is_oauth2
from .subject import Subject, Unknown

#: A scope that no Bitbucket has.
NO_SCOPE = "made-up-by-bitbucket-check"


def made_up_code(subject: Subject) -> str:
    return _refusal(subject.provider(), subject)


def made_up_secret(subject: Subject) -> str:
    return _refusal(conf.provider(replace(subject.configuration, client_secret=made_up())), subject)


def _refusal(provider: Provider, subject: Subject) -> str:
    """What is refused, the code or the client."""
    try:
        provider.fetch_token(AuthorizationCode(made_up(), subject.patient.redirect_uri, code_verifier()))
    except OAuthError as error:
        if error.reason == "state_expired":
            return "the code is refused"
        if isinstance(error, ClientRefused) and not error.error.startswith("http_"):
            return "the client is refused"
        return f"{error.error[:60]} (HTTP {error.status})"
    return "a token"


def client_credentials(subject: Subject) -> str:
    answer = subject.application()
    return "taken" if "access_token" in answer.members else "refused"


def scope_member(subject: Subject) -> str:
    _ = subject.application().token
    return next((name for name in ("scope", "scopes") if name in subject.application().members), "neither")


def lifetime(subject: Subject) -> str:
    _ = subject.application().token
    seconds = subject.application().members.get("expires_in")
    return f"{seconds} s" if isinstance(seconds, int) else "none"


def scope_parameter(subject: Subject) -> str:
    """What becomes of a scope that the client hasn't got, beside one that it has."""
    _ = subject.application().token
    have = subject.application().scopes
    if not have:
        raise Unknown("the application's token names no scopes")
    answer = subject.exchange(ClientCredentials((have[0], NO_SCOPE)))
    if "access_token" not in answer.members:
        return "refused"
    return "granted" if NO_SCOPE in answer.scopes else "left out"


def longer_callback(subject: Subject) -> str:
    """Whether an address that begins with the registered one is taken for it."""
    callback = subject.patient.callback_url
    if not callback:
        raise Unknown("where your site is: pass --site, or set CALLBACK_URL")
    if _page(subject, callback) != "asks":
        raise Unknown("the page wants somebody who is signed in, or doesn't take the callback URL itself")
    return "taken" if _page(subject, f"{callback}beyond/") == "asks" else "refused"


def no_challenge(subject: Subject) -> str:
    """Whether a sign-in without PKCE is begun."""
    callback = subject.patient.redirect_uri
    if _page(subject, callback) != "asks":
        raise Unknown("the page wants somebody who is signed in, or doesn't take the callback URL itself")
    return "taken" if _page(subject, callback, pkce=False) == "asks" else "refused"


def _page(subject: Subject, redirect_uri: str, *, pkce: bool = True) -> str:
    """What a browser that asks for a code gets: the page ``"asks"``, ``"refuses"``, or leads ``"elsewhere"``."""
    provider = subject.provider()
    url = provider.authorization_url(redirect_uri, made_up(), code_verifier() if pkce else None)
    response = subject.get(url)
    if provider.is_success(response):
        return "asks"
    there = response.headers.get("Location", "")
    back = urlsplit(there)._replace(query="").geturl() == redirect_uri
    return "elsewhere" if there and not back else "refuses"


def takes_a_person(subject: Subject) -> str:
    raise Unknown("takes a person at a browser")


CASES = (
    Case(
        name="made-up-code",
        about="A code that was made up is redeemed.",
        expected="the code is refused",
        ask=made_up_code,
        applies=is_oauth2,
    ),
    Case(
        name="made-up-secret",
        about="The same, with a secret that was made up.",
        expected="the client is refused",
        ask=made_up_secret,
        applies=is_oauth2,
    ),
    Case(
        name="client-credentials",
        about="The application asks for a token of its own.",
        expected="taken",
        ask=client_credentials,
        applies=is_oauth2,
        question="Data Center: since which version?",
    ),
    Case(
        name="scope-member",
        about="The member of a token answer that names the scopes.",
        expected="scope",
        ask=scope_member,
        applies=is_oauth2,
    ),
    Case(
        name="lifetime",
        about="How long an access token lives.",
        expected="7200 s",
        ask=lifetime,
        applies=is_cloud_by_oauth2,
        question="The documentation says 3600, observers say 7200.",
    ),
    Case(
        name="lifetime",
        about="How long an access token lives.",
        expected="3600 s",
        ask=lifetime,
        applies=is_data_center_by_oauth2,
    ),
    Case(
        name="scope-parameter",
        about="A scope is asked for that the client hasn't got.",
        expected="left out",
        ask=scope_parameter,
        applies=is_cloud_by_oauth2,
        question="Does the scope parameter narrow, or is it refused?",
    ),
    Case(
        name="scope-parameter",
        about="A scope is asked for that the client hasn't got.",
        expected="refused",
        ask=scope_parameter,
        applies=is_data_center_by_oauth2,
        question="Does the scope parameter narrow, or is it refused?",
    ),
    Case(
        name="longer-callback",
        about="A callback URL that only begins like the registered one.",
        expected="refused",
        ask=longer_callback,
        applies=is_oauth2,
        question="Does the registered callback URL match as a prefix?",
    ),
    Case(
        name="no-challenge",
        about="A sign-in without PKCE is begun.",
        expected="refused",
        ask=no_challenge,
        applies=is_data_center_by_oauth2,
        question="The documentation has both, with PKCE and without.",
    ),
    Case(
        name="pkce-verified",
        about="A code is redeemed with another verifier.",
        expected="refused",
        ask=takes_a_person,
        applies=is_oauth2,
        question="Is PKCE verified, or ignored?",
    ),
    Case(
        name="denial",
        about="Somebody says no: do error and state come back?",
        expected="both come back",
        ask=takes_a_person,
        applies=is_oauth2,
        question="No capture of a refusal is known.",
    ),
)
