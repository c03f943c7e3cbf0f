"""What the client may do, where that can be known without a person: from a token of the application itself."""

from __future__ import annotations

from collections.abc import Iterator

from ...bitbucket import CloudProvider
from ...exceptions import BitbucketAuthError
from ...oauth.token import Token
from .findings import Finding
from .patient import Patient, get

#: Each of Data Center's opens those before it; ``ACCOUNT_WRITE`` stands aside.
_RISING = ("PUBLIC_REPOS", "REPO_READ", "REPO_WRITE", "REPO_ADMIN", "PROJECT_ADMIN", "ADMIN_WRITE", "SYSTEM_ADMIN")


def granted(patient: Patient) -> Iterator[Finding]:
    """The client's scopes, and those that it lacks."""
    provider = patient.conversation()
    if provider.signs_requests:
        yield Finding("note", "scopes", "OAuth 1.0a has no scopes: the site may do what its people may.")
        return
    if not patient.accepted:
        return
    have = _of(patient)
    if not have:
        yield Finding(
            "note",
            "scopes_unknown",
            "What the client may do can't be known without a person: it gets no token of its own here.",
            "Sign in once; a scope that is missing is said by name then (insufficient_scope).",
        )
        return
    is_cloud = isinstance(provider, CloudProvider)
    needed = dict.fromkeys(("account",), "nobody can be told without it") if is_cloud else {}
    if is_cloud and patient.configuration.fetch_emails:
        needed["email"] = "people may come without an e-mail address"
    needed |= {scope: "SCOPES asks for it" for scope in patient.configuration.scopes if scope not in needed}
    lacking = [scope for scope in needed if not opened(scope, have)]
    if not lacking:
        yield Finding("ok", "scopes", f"The client may: {', '.join(sorted(have))}.")
    for scope in lacking:
        yield Finding(
            "error" if scope == "account" else "warning",
            "scope_missing",
            f"The client lacks the scope {scope}: {needed[scope]}. It has: {', '.join(sorted(have))}.",
            "Tick it for the client at Bitbucket; who has signed in before has to do so once more."
            + (" Or set FETCH_EMAILS to False." if scope == "email" else ""),
        )


def opened(scope: str, have: frozenset[str]) -> bool:
    """Whether some scopes cover another: ``account:write`` covers ``account``, ``REPO_WRITE`` covers ``REPO_READ``.

    https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication has which do.
    """
    if scope in have or any(one.startswith(f"{scope}:") for one in have):
        return True
    if scope == "repository":
        return opened("pullrequest", have)
    if scope in _RISING:
        return any(one in have for one in _RISING[_RISING.index(scope) :])
    return False


def _of(patient: Patient) -> frozenset[str]:
    token = patient.application
    if token is None:
        return frozenset()
    return frozenset(token.scopes) or _told_by_the_api(patient, token)


def _told_by_the_api(patient: Patient, token: Token) -> frozenset[str]:
    provider = patient.conversation()
    try:
        answer = get(provider, provider.endpoint("user"), token)
    except BitbucketAuthError:
        return frozenset()
    return frozenset(answer.headers.get("X-OAuth-Scopes", "").replace(",", " ").split())
