"""Which of Bitbucket's rules hold in the simulator."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Literal, TypeVar

from .kinds import is_data_center, kind_named

_T = TypeVar("_T")


def _cloud(default: _T) -> _T:
    """A rule that a Data Center hasn't got."""
    return field(default=default, metadata={"data_center": False})


def _data_center(default: _T) -> _T:
    """A rule that Cloud hasn't got."""
    return field(default=default, metadata={"data_center": True})


@dataclass
class Rules:
    """Cloud's rules of November 2026; `for_kind` gives those of the others.

    What `bitbucket.md` calls an open question can be set either way.
    """

    #: The member of the token answer that names the granted scopes; ``"scopes"`` until May 2026.
    scope_member: Literal["scope", "scopes"] = "scope"
    #: A refresh gives a new refresh token, and the old one lives on for ``grace_seconds``. Open for Data Center.
    rotate_refresh_tokens: bool = True
    grace_seconds: float = 600.0
    #: Without one the old refresh token stays good: rotation came gradually.
    refresh_answer_has_refresh_token: bool = True
    #: Open: the documentation says 3600, observers say 7200.
    access_token_seconds: int = 7200
    refresh_token_seconds: float = 90 * 86400.0
    code_seconds: float = 600.0
    #: Characters of an access token and of a refresh token.
    token_length: int = 2500
    #: ``/2.0/workspaces`` and its like answer 410.
    removed_endpoints_gone: bool = _cloud(True)
    #: ``?access_token=`` is refused.
    query_token_refused: bool = _cloud(True)
    #: ``client_id`` and ``client_secret`` in the body are as good as HTTP Basic (seen, not
    #: documented).
    body_credentials: bool = False
    #: HTTP Basic does at the token endpoint. Data Center's documentation knows the body only.
    basic_credentials: bool = True
    #: The implicit and the password grant are taken.
    retired_grants_taken: bool = _cloud(False)
    #: Open: does Cloud verify PKCE, or ignore it?
    pkce_verified: bool = True
    #: A request without a challenge is refused. Open for Data Center, which documents both ways.
    pkce_required: bool = False
    #: Open: does ``state`` come back with a refusal, and do its parameters come at all?
    denial_has_state: bool = True
    denial_has_error: bool = True
    #: Open: does the registered callback match as a prefix?
    callback_prefix: bool = False
    #: Open: are scopes beyond the client's dropped, or an ``invalid_scope``?
    scope_parameter: Literal["narrows", "refused"] = "narrows"
    #: Open: does ``account`` alone open ``/2.0/user/emails``?
    account_opens_emails: bool = _cloud(False)
    #: Open: does ``…/permission`` name the role?
    permission_names_role: bool = _cloud(True)
    #: Open: the ``error`` that stands with "User is inactive".
    inactive_error: str = "unauthorized_client"
    #: OAuth 1.0a is spoken, as it was until early 2026. Open: how are its calls refused today?
    oauth1_taken: bool = _cloud(False)
    #: ``/1.0/user/`` and its like are gone, since 2019.
    first_api_gone: bool = _cloud(True)
    #: Addresses on a page of ``/2.0/user/emails``.
    emails_per_page: int = _cloud(10)

    #: OAuth 1.0a: how long a person may take, and how far the clocks may be apart.
    request_token_seconds: float = 600.0
    timestamp_seconds: float = 300.0
    #: OAuth 1.0a: which problem a refusal names (if `denial_has_error`), and whether the request token is told.
    denial_problem: str = "permissions_denied"
    denial_has_token: bool = True

    #: A refresh has to name the redirect URI of the login (M for Data Center).
    refresh_needs_redirect_uri: bool = _data_center(False)
    #: A refresh ends the access token it replaces, too (M for Data Center).
    refresh_ends_access_tokens: bool = _data_center(False)
    #: The application may get tokens of its own: newer versions only.
    client_credentials_taken: bool = _data_center(True)
    #: The most entries on a page of users, whatever ``limit`` asks for.
    users_per_page: int = _data_center(25)
    #: Open: where anybody may ask, is a token that's refused the same as none, or a 401?
    refused_token_is_anonymous: bool = _data_center(True)
    #: Open: how does a space of a user's name come in ``X-AUSERNAME``?
    name_header_has_plus: bool = _data_center(False)
    #: OAuth 1.0a's access tokens live for five years.
    signed_token_seconds: int = _data_center(157680000)
    #: Open: the status for a signed request that lacks something or comes at a wrong time (Atlassian's library: 400).
    malformed_status: int = _data_center(401)
    #: Answers of the API begin a session, by a cookie that is as good as a token.
    session_cookies: bool = _data_center(True)

    @classmethod
    def for_kind(cls, kind: str) -> Rules:
        """What holds in a Bitbucket of this kind (`Kind`); ``cloud-oauth1`` is Cloud as it was."""
        if is_data_center(kind_named(kind)):
            return cls(
                grace_seconds=0.0,
                access_token_seconds=3600,
                code_seconds=10.0,
                token_length=64,
                body_credentials=True,
                basic_credentials=False,
                pkce_required=True,
                scope_parameter="refused",
                inactive_error="invalid_grant",
                refresh_needs_redirect_uri=True,
                refresh_ends_access_tokens=True,
            )
        return cls() if kind == "cloud" else cls.older()

    @classmethod
    def older(cls) -> Rules:
        """Cloud as it was before 2026's changes, and with the 1.0 API, which left earlier."""
        return cls(
            scope_member="scopes",
            rotate_refresh_tokens=False,
            token_length=88,
            removed_endpoints_gone=False,
            query_token_refused=False,
            body_credentials=True,
            retired_grants_taken=True,
            pkce_verified=False,
            callback_prefix=True,
            oauth1_taken=True,
            first_api_gone=False,
        )

    @classmethod
    def of(cls, kind: str) -> list[Field[object]]:
        """The rules that make a difference in a Bitbucket of this kind."""
        product = is_data_center(kind)
        return [rule for rule in fields(cls) if rule.metadata.get("data_center", product) == product]
