"""The OAuth client as it is registered in the simulator, and the addresses that it may send people to."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from .keys import SIMULATOR_RSA_PUBLIC_KEY
from .kinds import is_data_center

# Fixed, and of the lengths Bitbucket gives out in 2026 (32 and 76 characters), so that a project
# can be set up for the simulator before it runs. They open nothing but a simulator on this very
# machine.
SIMULATOR_CLIENT_ID = "simulatorclient00000000000000001"
SIMULATOR_CLIENT_SECRET = "simulator-secret-that-opens-nothing-but-a-simulator-on-this-very-machine-001"

#: What may be ticked for a client on Cloud is what it's given; a Data Center's names are its own (bitbucket.md 6.1).
CLOUD_SCOPES = ("account", "email", "repository")
DATA_CENTER_SCOPES = ("PUBLIC_REPOS", "ACCOUNT_WRITE", "REPO_READ")

#: Names that belong to nobody (RFC 2606, RFC 6761), and the one Django's test client goes by.
RESERVED_HOSTS = ("testserver", "localhost", "example.com", "example.net", "example.org")
RESERVED_ENDINGS = (".localhost", ".test", ".example", ".invalid", ".example.com", ".example.org")


@dataclass
class RegisteredClient:
    """The OAuth client as it's registered in the simulator; with OAuth 1.0a, the consumer.

    ``callback_url``: ``None`` accepts any callback on this machine or a reserved name; a string or
    a tuple of strings accepts exactly these; ``""`` is a client for which none was entered.
    ``scopes`` is the ceiling; on a Data Center, Cloud's stand for `DATA_CENTER_SCOPES`. ``workspace`` is the slug of
    the one it belongs to, where the app is installed, too. ``app_key``, ``client_key`` and ``shared_secret`` are that
    app's (Connect). ``public_key`` (PEM) and ``signature_methods`` are for OAuth 1.0a.
    """

    client_id: str = SIMULATOR_CLIENT_ID
    client_secret: str = SIMULATOR_CLIENT_SECRET
    callback_url: str | tuple[str, ...] | None = None
    scopes: tuple[str, ...] = CLOUD_SCOPES
    name: str = "Your Django project"
    workspace: str = "acme"
    app_key: str = "simulator-app"
    client_key: str = "ari:cloud:bitbucket::app/simulator/installation"
    shared_secret: str = field(default="simulator-shared-secret-that-signs-for-a-simulator-only", repr=False)
    public_key: str = field(default=SIMULATOR_RSA_PUBLIC_KEY, repr=False)
    signature_methods: tuple[str, ...] = ("HMAC-SHA1", "RSA-SHA1")

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

    def settle(self, kind: str) -> None:
        """Be registered in a Bitbucket of this kind."""
        if is_data_center(kind) and self.scopes == CLOUD_SCOPES:
            self.scopes = DATA_CENTER_SCOPES


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
