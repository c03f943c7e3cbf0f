"""What is expected of OAuth 1.0a: a request token for who signs well, and a problem by name for who doesn't."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import requests

from ... import conf
from ...exceptions import OAuthError
from ...oauth import rsa_keys
from ..doctor.credentials import made_up
from .cases import Case, is_cloud_by_oauth1, is_data_center_by_oauth1, is_signed
from .subject import Subject, settled


def request_token(subject: Subject) -> str:
    return _begun(subject)


def other_signature(subject: Subject) -> str:
    if subject.configuration.signature_method == "RSA-SHA1":
        return _begun(subject, rsa_key=rsa_keys.new_key())
    return _begun(subject, client_secret=made_up())


def other_consumer(subject: Subject) -> str:
    return _begun(subject, client_id=made_up())


def unsigned(subject: Subject) -> str:
    provider = subject.provider()
    response = settled(provider.send(requests.Request("POST", provider.endpoint("request_token"))))
    return f"HTTP {response.status_code}"


def _begun(subject: Subject, **other: Any) -> str:
    provider = conf.provider(replace(subject.configuration, **other))
    try:
        provider.begin(subject.patient.redirect_uri, made_up())
    except OAuthError as error:
        return error.error[:60]
    return "given, and the callback confirmed"


CASES = (
    Case(
        name="request-token",
        about="A request token is asked for.",
        expected="given, and the callback confirmed",
        ask=request_token,
        applies=is_signed,
    ),
    Case(
        name="other-signature",
        about="The same, signed by another key or secret.",
        expected="signature_invalid",
        ask=other_signature,
        applies=is_data_center_by_oauth1,
    ),
    Case(
        name="other-signature",
        about="The same, signed by another key or secret.",
        expected="http_400",
        ask=other_signature,
        applies=is_cloud_by_oauth1,
    ),
    Case(
        name="other-consumer",
        about="The same, for a consumer key that was made up.",
        expected="consumer_key_unknown",
        ask=other_consumer,
        applies=is_data_center_by_oauth1,
    ),
    Case(
        name="other-consumer",
        about="The same, for a consumer key that was made up.",
        expected="http_400",
        ask=other_consumer,
        applies=is_cloud_by_oauth1,
    ),
    Case(
        name="unsigned",
        about="The same, not signed at all.",
        expected="HTTP 401",
        ask=unsigned,
        applies=is_data_center_by_oauth1,
        question="Atlassian's library has 400 for what lacks something.",
    ),
    Case(
        name="unsigned",
        about="The same, not signed at all.",
        expected="HTTP 400",
        ask=unsigned,
        applies=is_cloud_by_oauth1,
    ),
)
