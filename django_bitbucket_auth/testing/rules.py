"""What the simulator goes by: the registered OAuth client, and which of Bitbucket's rules hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

# Fixed, and of the lengths Bitbucket gives out in 2026 (32 and 76 characters), so that a project
# can be set up for the simulator before it runs. They open nothing but a simulator on this very
# machine.
SIMULATOR_CLIENT_ID = "simulatorclient00000000000000001"
SIMULATOR_CLIENT_SECRET = "simulator-secret-that-opens-nothing-but-a-simulator-on-this-very-machine-001"

#: Names that belong to nobody (RFC 2606, RFC 6761), and the one Django's test client goes by.
RESERVED_HOSTS = ("testserver", "localhost", "example.com", "example.net", "example.org")
RESERVED_ENDINGS = (".localhost", ".test", ".example", ".invalid", ".example.com", ".example.org")


@dataclass
class RegisteredClient:
    """The OAuth client as it's registered in the simulator.

    ``callback_url``: ``None`` accepts any callback on this machine or a reserved name; a string or
    a tuple of strings accepts exactly these; ``""`` is a client for which none was entered.
    ``scopes`` is the ceiling. ``workspace`` is the slug of the one it belongs to, where the app is
    installed, too. ``app_key``, ``client_key`` and ``shared_secret`` are that app's (Connect).
    """

    client_id: str = SIMULATOR_CLIENT_ID
    client_secret: str = SIMULATOR_CLIENT_SECRET
    callback_url: str | tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ("account", "email", "repository")
    name: str = "Your Django project"
    workspace: str = "acme"
    app_key: str = "simulator-app"
    client_key: str = "ari:cloud:bitbucket::app/simulator/installation"
    shared_secret: str = field(default="simulator-shared-secret-that-signs-for-a-simulator-only", repr=False)

    @property
    def callbacks(self) -> tuple[str, ...]:
        if isinstance(self.callback_url, str):
            return (self.callback_url,) if self.callback_url else ()
        return self.callback_url or ()

    def accepts(self, redirect_uri: str, *, prefix: bool) -> bool:
        """Whether ``redirect_uri`` may be sent people to."""
        if self.callback_url is None:
            return is_nobodys(redirect_uri)
        return redirect_uri in self.callbacks or (
            prefix and any(redirect_uri.startswith(callback) for callback in self.callbacks)
        )


@dataclass
class Rules:
    """Cloud's rules of November 2026.

    What `bitbucket.md` calls an open question can be set either way.
    """

    #: The member of the token answer that names the granted scopes; ``"scopes"`` until May 2026.
    scope_member: Literal["scope", "scopes"] = "scope"
    #: A refresh gives a new refresh token, and the old one lives on for ``grace_seconds``.
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
    removed_endpoints_gone: bool = True
    #: ``?access_token=`` is refused.
    query_token_refused: bool = True
    #: ``client_id`` and ``client_secret`` in the body are as good as HTTP Basic (seen, not
    #: documented).
    body_credentials: bool = False
    #: The implicit and the password grant are taken.
    retired_grants_taken: bool = False
    #: Open: does Cloud verify PKCE, or ignore it?
    pkce_verified: bool = True
    #: Open: does ``state`` come back with a refusal, and do its parameters come at all?
    denial_has_state: bool = True
    denial_has_error: bool = True
    #: Open: does the registered callback match as a prefix?
    callback_prefix: bool = False
    #: Open: are scopes beyond the client's dropped, or an ``invalid_scope``?
    scope_parameter: Literal["narrows", "refused"] = "narrows"
    #: Open: does ``account`` alone open ``/2.0/user/emails``?
    account_opens_emails: bool = False
    #: Open: does ``…/permission`` name the role?
    permission_names_role: bool = True
    #: Open: the ``error`` that stands with "User is inactive".
    inactive_error: str = "unauthorized_client"
    #: Addresses on a page of ``/2.0/user/emails``.
    emails_per_page: int = 10

    @classmethod
    def older(cls) -> Rules:
        """Cloud as it was before 2026's changes."""
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
        )


def is_loopback(host: str) -> bool:
    """Whether a host (no port, IPv6 without brackets) is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_nobodys(url: str) -> bool:
    """Whether a callback leads to this machine or to a name that is reserved for tests.

    Anything else would make the simulator a way to send a browser to a stranger's site.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or "\\" in url or parts.fragment:
        return False
    return is_loopback(host) or host in RESERVED_HOSTS or host.endswith(RESERVED_ENDINGS)
