"""Does Bitbucket take the client? Proved without anybody's consent, by requests that come to nothing.

OAuth 2.0: a code that was made up is asked to be redeemed. The client is looked at before the code, so a complaint
about the code is good news. OAuth 1.0a: a request token is asked for (RFC 5849, 2.1), and nobody is asked to allow it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from ...bitbucket import Provider
from ...exceptions import BitbucketAuthError, BitbucketUnavailable, ClientRefused, OAuthError, RateLimited
from ...oauth.grants import AuthorizationCode, ClientCredentials
from ...oauth.oauth2 import code_verifier
from . import remedies
from .findings import Finding
from .patient import Patient

_CALLBACK = ("callback uri", "redirect_uri", "redirect uri")


def proved(patient: Patient) -> Iterator[Finding]:
    """Whether the credentials are accepted."""
    provider = patient.conversation()
    if not patient.has_credentials:
        yield Finding(
            "warning",
            "credentials_missing",
            "The client's credentials aren't set yet, so nothing could be proved by them.",
            "Register the client as said above, put its credentials where it says, and run this again.",
        )
        return
    yield from _by_request_token(patient, provider) if provider.signs_requests else _by_code(patient, provider)


def application(patient: Patient) -> Iterator[Finding]:
    """Get a token of the application itself: what it may do is what the client may."""
    provider = patient.conversation()
    if provider.signs_requests or not patient.accepted:
        return
    try:
        patient.application = provider.fetch_token(ClientCredentials())
    except RateLimited:
        yield Finding("warning", "rate_limited", "Bitbucket answers that the rate limit is reached.", remedies.LIMIT)
    except BitbucketAuthError:
        # Many clients get none, and sign people in all the same.
        patient.application = None


def made_up() -> str:
    """What nobody has given out: for codes, tokens and secrets that are to be refused."""
    return f"made-up-by-bitbucket-check-{secrets.token_hex(8)}"


def _by_code(patient: Patient, provider: Provider) -> Iterator[Finding]:
    verifier = code_verifier() if patient.configuration.pkce else None
    try:
        provider.fetch_token(AuthorizationCode(made_up(), patient.redirect_uri, verifier))
    except BitbucketUnavailable as error:
        yield _later(error)
    except OAuthError as error:
        yield _of_code(patient, provider, error)
    else:
        yield Finding(
            "error",
            "not_bitbucket",
            "Whoever answers there gave a token for a code that was made up.",
            remedies.BASE_URL,
        )


def _of_code(patient: Patient, provider: Provider, error: OAuthError) -> Finding:
    """What the refusal of a code that was made up says about the client."""
    says = f"{error.error} {error.description}".lower()
    if error.reason == "state_expired":
        patient.accepted = True
        return Finding("ok", "credentials", "Bitbucket accepts the client's id and secret.")
    if any(words in says for words in _CALLBACK):
        return Finding("error", "callback_refused", f"Bitbucket answers {error}.", _callback(patient))
    if "grant type" in says or error.error == "unsupported_grant_type":
        return Finding(
            "error",
            "grant_refused",
            f"Bitbucket doesn't let this client sign people in: {error}.",
            'Tick "Authorization code" for it at Bitbucket.',
        )
    if error.error.startswith("http_") or not isinstance(error, ClientRefused):
        # No words of Bitbucket's: a page of somebody in between says nothing about our client.
        return _unclear(error)
    if _takes_the_application(provider):
        # `unauthorized_client` says little at Bitbucket: the id and the secret can't be what is wrong.
        return Finding(
            "warning",
            "credentials_contradict",
            f"Bitbucket gives the client a token of its own, and refuses it with a code that was made up: {error}.",
            'Sign in once. If that is refused, too, tick "Authorization code" for the client at Bitbucket.',
        )
    return Finding(
        "error",
        "credentials_refused",
        f"Bitbucket refuses the client's id or secret: {error}.",
        "Compare the id with that of the client at Bitbucket. If they agree, the secret is wrong: make a new one "
        "there, and set it without anything before or after it.",
    )


def _takes_the_application(provider: Provider) -> bool:
    try:
        provider.fetch_token(ClientCredentials())
    except BitbucketAuthError:
        return False
    return True


def _by_request_token(patient: Patient, provider: Provider) -> Iterator[Finding]:
    try:
        provider.begin(patient.redirect_uri, made_up())
    except BitbucketUnavailable as error:
        yield _later(error)
    except OAuthError as error:
        yield _of_signature(patient, provider, error)
    else:
        patient.accepted = True
        yield Finding(
            "ok",
            "credentials",
            "Bitbucket accepts the consumer and its signature: it gave a request token, which lapses by itself.",
        )


def _of_signature(patient: Patient, provider: Provider, error: OAuthError) -> Finding:
    problem, seen = error.error, f"Bitbucket answers {error}."
    retired = getattr(provider, "retired", "")
    if retired and error.status == 401:
        return Finding("error", "protocol_retired", seen, f"{retired}.")
    if problem.startswith("consumer_key"):
        return Finding(
            "error",
            "consumer_unknown",
            f"Bitbucket doesn't know the consumer key: {error}.",
            "Enter it in the application link's incoming authentication as it stands above, to the letter.",
        )
    if problem.startswith("signature"):
        return Finding("error", "signature_refused", f"Bitbucket refuses the signature: {error}.", _signature(patient))
    if problem.startswith("timestamp"):
        return Finding("error", "clock_off", seen, "Set the clock of this host by NTP.")
    if problem.startswith("parameter"):
        return Finding("error", "callback_refused", seen, _callback(patient))
    if problem == "no_request_token":
        return Finding("error", "not_bitbucket", seen, remedies.BASE_URL)
    if problem == "http_400":
        return Finding(
            "error",
            "signature_refused",
            f"Bitbucket refuses the request, and doesn't say why: {error}.",
            f"It may be the consumer key, the secret or the callback URL. {_signature(patient)}",
        )
    return _unclear(error)


def _later(error: BitbucketUnavailable) -> Finding:
    todo = remedies.LIMIT if isinstance(error, RateLimited) else remedies.LATER
    code = "rate_limited" if isinstance(error, RateLimited) else "unavailable"
    return Finding("warning", code, f"The credentials could not be proved: {error}.", todo)


def _unclear(error: OAuthError) -> Finding:
    return Finding(
        "error",
        "credentials_unclear",
        f"The answer neither accepts nor refuses the client: {error}.",
        f"If a proxy or a firewall stands in between, it may have answered. {remedies.BASE_URL}",
    )


def _signature(patient: Patient) -> str:
    if patient.configuration.signature_method == "RSA-SHA1":
        return "Enter the public key that stands above into the application link: it belongs to RSA_KEY."
    return "Enter the shared secret into the application link anew, and the same where CLIENT_SECRET is set."


def _callback(patient: Patient) -> str:
    if not patient.callback_url:
        return "Say where your site is (--site https://shop.example.com), so that the right callback URL is asked for."
    return f"Enter the callback URL at Bitbucket, to the letter: {patient.callback_url}"
