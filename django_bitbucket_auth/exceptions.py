"""Everything that this app raises, in one tree.

::

    BitbucketAuthError
    ├── ConfigurationError            also Django's ImproperlyConfigured
    ├── LoginRefused                  a policy or a receiver said no
    ├── StateError                    the started login and the callback don't belong together
    ├── OAuthError                    Bitbucket answered with an OAuth error, or with nonsense
    │   ├── ClientRefused             it is *our* client that Bitbucket doesn't accept
    │   ├── ReauthenticationRequired  the token is dead; its person has to sign in again
    │   └── InsufficientScope         the token may not do what was asked of it
    ├── NotConnected                  there is no token to call Bitbucket with
    ├── ProfileError                  the profile can't identify a person
    ├── ForeignURL                    a credential was about to leave for another host
    └── BitbucketUnavailable          down, overloaded, or out of reach
        ├── RateLimited
        └── BitbucketTimeout

Each carries ``reason``, one of the codes that also stand on the error page, in the log record and in
``login_refused``. No exception of this tree holds a credential: messages and ``repr`` may be logged.
"""

from django.core.exceptions import ImproperlyConfigured


class BitbucketAuthError(Exception):
    """The root. ``reason`` is the code under which a login fails for this."""

    reason: str = "bad_answer"


class ConfigurationError(BitbucketAuthError, ImproperlyConfigured):
    """A setting is missing or wrong; the message names it and says what to do."""

    reason = "misconfigured"


class LoginRefused(BitbucketAuthError):
    """This person may not sign in. Raise it in a ``verify`` receiver to refuse.

    ``message`` is shown to the person, so write it for them; ``reason`` is a reason code; ``cause`` is for the log.
    """

    def __init__(self, message: str = "", reason: str = "vetoed", *, cause: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.cause = cause

    def __str__(self) -> str:
        return str(self.cause or self.message or "")  # `str`: the message may be a lazy translation


class StateError(BitbucketAuthError):
    """The callback doesn't belong to a login that this browser started (RFC 6749, 10.12)."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class OAuthError(BitbucketAuthError):
    """An OAuth request failed (RFC 6749, 4.1.2.1 and 5.2).

    ``error`` and ``description`` are Bitbucket's words, cut to a length fit for a log line; ``status`` is the
    HTTP status of its answer, or ``None`` when the error arrived by way of the browser. ``hint`` is ours: what is
    known of the cause.
    """

    def __init__(
        self,
        error: str,
        description: str = "",
        status: int | None = None,
        *,
        reason: str | None = None,
        hint: str = "",
    ) -> None:
        self.error, self.description, self.status, self.hint = error[:200], description[:500], status, hint
        if reason is not None:
            self.reason = reason
        super().__init__(self.error, self.description, self.status)

    def __str__(self) -> str:
        status = "" if self.status is None else f" (HTTP {self.status})"
        description = f": {self.description!r}" if self.description else ""
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.error!r}{description}{status}{hint}"


class ClientRefused(OAuthError):
    """Bitbucket refuses the OAuth client: its id, secret, callback URL or grant. Nobody's token is at fault."""

    reason = "client_refused"


class ReauthenticationRequired(OAuthError):
    """The token can't be renewed: it was revoked, went unused for too long, or its person is inactive at Bitbucket.

    Send the person to sign in again; that replaces the token.
    """


class InsufficientScope(OAuthError):
    """The token lacks a scope. ``required`` and ``granted`` are what Bitbucket said, if it did."""

    reason = "insufficient_scope"

    def __init__(self, required: tuple[str, ...], granted: tuple[str, ...], status: int | None = 403) -> None:
        self.required, self.granted = required, granted
        super().__init__(
            "insufficient_scope",
            f"required: {' '.join(required) or 'unknown'}; granted: {' '.join(granted) or 'none'}",
            status,
        )


class NotConnected(BitbucketAuthError):
    """Nobody's token is there to call Bitbucket with: the person never signed in with it, or is inactive here."""

    reason = "inactive"


class ProfileError(BitbucketAuthError):
    """The profile lacks what identifies a person. ``field`` names the member that is missing or wrong."""

    def __init__(self, message: str, field: str, reason: str = "no_stable_id") -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason


class ForeignURL(BitbucketAuthError):
    """A URL is outside of the API that the credential belongs to; nothing was sent."""


class BitbucketUnavailable(BitbucketAuthError):
    """Bitbucket is down or out of reach.

    ``retry_after``: seconds to wait, if Bitbucket named them; ``status``: the HTTP status of its answer, if there was
    one.
    """

    reason = "unavailable"

    def __init__(self, message: str, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after, self.status = retry_after, status


class RateLimited(BitbucketUnavailable):
    """Bitbucket answered 429: the client has made too many requests."""

    reason = "rate_limited"


class BitbucketTimeout(BitbucketUnavailable):
    """Bitbucket didn't answer in time (``TIMEOUT``), or the whole conversation took too long (``DEADLINE``)."""

    reason = "timed_out"
