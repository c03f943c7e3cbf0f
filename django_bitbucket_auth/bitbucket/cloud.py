"""Bitbucket Cloud (https://developer.atlassian.com/cloud/bitbucket/rest/)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from ..exceptions import BitbucketAuthError, ForeignURL, OAuthError
from ..oauth.token import Token
from . import responses
from .oauth1 import OAuth1Provider
from .profiles import Email, Profile, parse_emails, parse_v1, parse_v1_emails, parse_v2, text
from .provider import Membership, Provider

logger = logging.getLogger("django_bitbucket_auth")

#: Ten addresses a page: a person with more than two hundred will find one of the first confirmed.
MAX_PAGES = 20
#: The end of a `user` endpoint in the 1.0 format, as passport-bitbucket tells the formats apart.
V1_USER = "/1.0/user/"
#: Roles that make a member; "collaborator" is deprecated and says nothing about membership.
ROLES = ("member", "create-project", "owner")


class CloudProvider(Provider):
    """Bitbucket Cloud: authorization code, profile and addresses side by side, membership by workspace."""

    paths: ClassVar[Mapping[str, str]] = {
        "authorize": "/site/oauth2/authorize",
        "token": "/site/oauth2/access_token",
        "user": "/2.0/user",
    }
    api_path: ClassVar[str] = "/2.0/"
    retired_grants: ClassVar[Mapping[str, str]] = {
        "password": (
            "Bitbucket Cloud has not taken the password grant since October 2024 at the latest, nor account passwords "
            "on its API since March 2022: use client_credentials, or let the person sign in"
        ),
        "implicit": (
            "Bitbucket Cloud has not taken the implicit grant since August 2026 at the latest: use authorization_code"
        ),
    }

    def fetch_profile(self, token: Token) -> Profile:
        """``GET /2.0/user`` and, if asked for, ``GET /2.0/user/emails``, at the same time.

        With a ``user`` endpoint that ends in ``/1.0/user/``, both in the 1.0 format, one after the other: the addresses
        stand under the user's name there.

        A failure of the addresses never breaks a login; the profile then has none, and says why.

        Raises:
            BitbucketAuthError: the profile can't be had, or isn't a person's (``ProfileError``).
        """
        if self.endpoint("user").endswith(V1_USER):
            return self._v1_profile(token)
        if not self.configuration.fetch_emails:
            return self._profile(self._user(token), (), None)
        found: list[Any] = self._helpers.run(partial(self._user, token), partial(self._emails, token))
        user, (emails, error) = found
        return self._profile(user, emails, error)

    def fetch_memberships(self, token: Token, workspaces: tuple[str, ...]) -> tuple[Membership, ...]:
        """``GET /2.0/user/workspaces/{workspace}/permission`` for each, at the same time."""
        return tuple(self._helpers.run(*(partial(self._membership, token, name) for name in workspaces)))

    def next_page(self, body: Mapping[str, Any], url: str) -> str | None:
        """The ``next`` link, which is not to be made up (Bitbucket Cloud REST, "Pagination").

        Raises:
            ForeignURL: it is no address. Taken for the last page, half a list would look like a whole one.
        """
        following = body.get("next")
        if not following:
            return None
        if not isinstance(following, str):
            raise ForeignURL("the link to the next page is no address")
        return following

    def _profile(self, user: object, emails: tuple[Email, ...], error: BitbucketAuthError | None) -> Profile:
        return parse_v2(
            user, provider=self.configuration.alias, instance=self.instance, emails=emails, emails_error=error
        )

    def _user(self, token: Token) -> object:
        return self.json(token, self.endpoint("user"))[0]

    def _emails(self, token: Token) -> tuple[tuple[Email, ...], BitbucketAuthError | None]:
        url: str | None = self.configuration.api_url.rstrip("/") + "/2.0/user/emails"
        found: tuple[Email, ...] = ()
        try:
            for _ in range(MAX_PAGES):
                if url is None:
                    break
                page = self.json(token, url)[0]
                found += parse_emails(page)
                url = self.next_page(page, url)
        except BitbucketAuthError as error:
            self._lacks_emails(error)
            return found, error
        return found, None

    def _lacks_emails(self, error: BitbucketAuthError) -> None:
        logger.warning(
            "Bitbucket's addresses of a person could not be read; the sign-in goes on without: %s (%s)",
            error,
            type(error).__name__,
            extra={"provider": self.configuration.alias},
        )

    def _v1_profile(self, token: Token) -> Profile:
        parse = partial(parse_v1, self._user(token), provider=self.configuration.alias, instance=self.instance)
        profile = parse()
        if not self.configuration.fetch_emails:
            return profile
        root = self.endpoint("user").removesuffix("user/")
        try:
            response = self.get(token, f"{root}users/{quote(profile.username, safe='')}/emails")
            if not self.is_success(response):
                raise self.error_from(response)
            return parse(emails=parse_v1_emails(responses.json_list(response)))
        except BitbucketAuthError as error:
            self._lacks_emails(error)
            return parse(emails_error=error)

    def _membership(self, token: Token, workspace: str) -> Membership:
        url = f"{self.configuration.api_url.rstrip('/')}/2.0/user/workspaces/{quote(workspace, safe='')}/permission"
        try:
            response = self.get(token, url)
        except ForeignURL:
            raise
        except BitbucketAuthError as fault:
            return Membership(workspace, "unknown", cause=str(fault))
        if self.is_success(response):
            return read_membership(workspace, responses.json_object(response))
        error = self.error_from(response)
        # A 403 for want of a scope is no answer to the question.
        plain = isinstance(error, OAuthError) and error.error in ("http_403", "http_404")
        return Membership(workspace, "no" if plain else "unknown", cause=str(error))


class CloudOAuth1Provider(OAuth1Provider, CloudProvider):
    """Bitbucket Cloud by OAuth 1.0a, as passport-bitbucket has it. Cloud itself has switched it off."""

    paths: ClassVar[Mapping[str, str]] = {
        "request_token": "/api/1.0/oauth/request_token/",
        "authorize": "/api/1.0/oauth/authenticate/",
        "token": "/api/1.0/oauth/access_token/",
        "user": "/2.0/user",
    }
    default_signature_method: ClassVar[str] = "HMAC-SHA1"
    retired: ClassVar[str] = "Bitbucket Cloud has not taken OAuth 1.0a since early 2026: use the KIND 'cloud'"


def read_membership(workspace: str, body: dict[str, Any]) -> Membership:
    """What a 200 of the permission endpoint proves.

    The answer must be about the very workspace that is configured. A name is anybody's to choose, so only the uuid
    counts, or the slug where a slug is configured (which can be renamed and taken over: a check warns).
    """
    place, user = body.get("workspace"), body.get("user")
    place, user = place if isinstance(place, dict) else {}, user if isinstance(user, dict) else {}
    member = "uuid" if workspace.startswith("{") else "slug"
    if text(place.get(member)).lower() != workspace.lower():
        return Membership(workspace, "unknown", cause=f"the answer is about another workspace's {member}")
    role = body.get("permission")
    if role is not None and role not in ROLES:
        return Membership(workspace, "unknown", cause=f"unknown role {text(role, 40)!r}")
    uid = user.get("uuid")
    return Membership(workspace, "yes", role or "", text(uid).lower() if uid is not None else None)
