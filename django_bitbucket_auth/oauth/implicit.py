"""The answer of an implicit grant (RFC 6749, 4.2.2), for servers that still have it. It never signs anybody in.

Its token arrives in the fragment of an address, which a browser keeps to itself: a page of yours has to read it there.
Whoever can put an address before a person can put somebody else's token into it, so the state is no option.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlencode

from oauthlib.oauth2 import MobileApplicationClient, OAuth2Error

from ..exceptions import OAuthError, StateError
from .oauth2 import request_uri
from .token import Token

#: oauthlib reads https addresses only. This one is never asked.
_FORMAL = "https://implicit.invalid/#"
_MEMBERS = frozenset({"access_token", "token_type", "scope", "state"})


def authorization_url(endpoint: str, client_id: str, *, redirect_uri: str, state: str, scopes: tuple[str, ...]) -> str:
    """Where the browser goes to ask for a token (RFC 6749, 4.2.1)."""
    return request_uri(
        MobileApplicationClient(client_id),
        endpoint,
        redirect_uri=redirect_uri or None,
        state=state,
        scope=list(scopes) or None,
    )


def parse_fragment(url: str, *, state: str) -> Token:
    """The token in the fragment of ``url`` (an address, or what stands behind its ``#``).

    Raises:
        StateError: the answer isn't for the request with this ``state`` (``state_missing``, ``state_mismatch``).
        OAuthError: the answer is a refusal, or has no token.
    """
    before, mark, behind = url.partition("#")
    if not mark and "://" in before.partition("=")[0]:
        before = ""  # an address: a token in its query is in the logs of every server along the way
    pairs = parse_qsl(behind if mark else before, keep_blank_values=True)
    members = dict(pairs)
    if not state or not members.get("state"):
        raise StateError("there is no state to know the fragment's request by", "state_missing")
    # Of a name that is there twice (RFC 6749, 3.1 forbids it) somebody else may have written one.
    if len(pairs) != len(members) or not hmac.compare_digest(_bytes(members["state"]), _bytes(state)):
        raise StateError("the fragment belongs to another request", "state_mismatch")
    if "error" in members:
        raise OAuthError(members["error"], members.get("error_description", ""))
    known = {name: value for name, value in members.items() if name in _MEMBERS}
    try:
        parsed = MobileApplicationClient("").parse_request_uri_response(_FORMAL + urlencode(known), state=state)
        return Token.from_answer(
            {**parsed, "scopes": members.get("scopes"), "expires_in": members.get("expires_in"), "refresh_token": ""}
        )
    except (OAuth2Error, ValueError) as error:
        # `from None`: the error may hold the address, and with it the token.
        raise OAuthError("no_token", f"no token in the fragment ({type(error).__name__})") from None


def _bytes(state: str) -> bytes:
    # Half a character is no reason to crash.
    return state.encode("utf-8", "surrogatepass")
