"""The Bitbucket that is asked, and by which tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from ...bitbucket import Provider
from ...bitbucket.responses import json_object, unavailable
from ...conf import ProviderSettings
from ...exceptions import BitbucketAuthError, BitbucketUnavailable
from ...oauth.grants import ClientCredentials, Grant
from ...oauth.token import Token
from ..doctor.patient import Patient, get

_PERSONAL = re.compile(r"[^\s@]+@[^\s@]+|\{?[0-9a-f]{8}-[0-9a-f-]{20,}\}?|[0-9A-Za-z_=-]{32,}")


class Unknown(Exception):
    """It can't be found out; the text says why, in a few words."""


def masked(text: str) -> str:
    """On one line, without addresses, ids and whatever is long enough for a secret."""
    return _PERSONAL.sub("…", "".join(filter(str.isprintable, text)))


def settled(response: requests.Response) -> requests.Response:
    """The answer, if it is one to what was asked, and not to come back later."""
    if later := unavailable(response):
        raise later
    return response


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What the token endpoint answered: the status and the members of its JSON."""

    status: int
    members: dict[str, Any] = field(repr=False)

    @property
    def error(self) -> str:
        value = self.members.get("error")
        return value[:60] if isinstance(value, str) else ""

    @property
    def scopes(self) -> tuple[str, ...]:
        return Token.from_answer(self.members).scopes

    @property
    def token(self) -> Token:
        """
        Raises:
            Unknown: there is none.
        """
        try:
            return Token.from_answer(self.members)
        except ValueError:
            raise Unknown(f"no token of the application ({self.error or 'no words'}, HTTP {self.status})") from None


@dataclass(slots=True)
class Subject:
    """A provider, and whose tokens there are. ``person``: a stored one, or ``why_nobody``; ``renew`` gets another."""

    patient: Patient
    person: Token | None = field(default=None, repr=False)
    why_nobody: str = "takes a person: pass --account or --user"
    renew: Callable[[Token], Token] | None = field(default=None, repr=False)
    _replaced: Token | None = field(default=None, repr=False)
    _application: TokenAnswer | BitbucketAuthError | None = field(default=None, repr=False)
    _failure: BitbucketAuthError | None = field(default=None, repr=False)

    @property
    def configuration(self) -> ProviderSettings:
        return self.patient.configuration

    def scrubbed(self, text: str) -> str:
        """What was seen, as it may be shown."""
        return masked(self.patient.scrubbed(text))

    def provider(self) -> Provider:
        """A new conversation."""
        return self.patient.conversation()

    def get(self, path: str, token: Token | None = None) -> requests.Response:
        """The answer at an address below ``API_URL``, or at a whole one.

        Raises:
            BitbucketUnavailable: there is none, or one that says to come back later.
        """
        url = path if "://" in path else self.configuration.api_url.rstrip("/") + path
        return settled(get(self.provider(), url, token))

    def answer(self, path: str, token: Token) -> requests.Response:
        """The same, for who insists on a success.

        Raises:
            Unknown: it isn't one.
        """
        response = self.get(path, token)
        if not self.provider().is_success(response):
            raise Unknown(f"HTTP {response.status_code}")
        return response

    def exchange(self, grant: Grant) -> TokenAnswer:
        """What the token endpoint says of a grant."""
        provider = self.provider()
        try:
            response = provider.send(provider.token_request(grant))
        except requests.RequestException as error:
            raise BitbucketUnavailable(f"no answer ({type(error).__name__})") from None
        return TokenAnswer(response.status_code, json_object(settled(response)))

    def application(self) -> TokenAnswer:
        """The answer to ``client_credentials``, which is asked for once."""
        if self._application is None:
            try:
                self._application = self.exchange(ClientCredentials())
            except BitbucketAuthError as error:
                self._application = error
        if isinstance(self._application, BitbucketAuthError):
            raise self._application
        return self._application

    def somebody(self) -> Token:
        """A person's token, or else the application's.

        Raises:
            Unknown: neither is to be had.
        """
        if self.person is None and not self.provider().signs_requests:
            return self.application().token
        return self.somebodys_own()

    def somebodys_own(self) -> Token:
        """A person's token.

        Raises:
            Unknown: there is none.
        """
        if self.person is None:
            raise Unknown(self.why_nobody)
        return self.person

    def renewed(self) -> tuple[Token, Token]:
        """The person's token before and after it was renewed, which is done once.

        Raises:
            Unknown: it may not be, or can't be.
        """
        before = self.somebodys_own()
        if self._failure is not None:
            raise self._failure
        if self._replaced is not None:
            return self._replaced, before
        if self.renew is None:
            raise Unknown("spends a refresh token: pass --refresh")
        try:
            self.person = self.renew(before)
        except BitbucketAuthError as error:
            # What was refused isn't sent once more: it would count against the token.
            self._failure = error
            raise
        self._replaced = before
        return before, self.person
