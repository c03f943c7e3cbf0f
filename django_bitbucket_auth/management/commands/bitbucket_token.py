"""``manage.py bitbucket_token``: an access token by any grant, for scripts and for trying things out."""

from __future__ import annotations

import json
import secrets
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.views.decorators.debug import sensitive_variables

from django_bitbucket_auth import conf
from django_bitbucket_auth.bitbucket.responses import authorization_error
from django_bitbucket_auth.exceptions import BitbucketAuthError, StateError
from django_bitbucket_auth.management import secret_input
from django_bitbucket_auth.oauth import urls
from django_bitbucket_auth.oauth.oauth2 import code_verifier
from django_bitbucket_auth.stores import CacheTokenStore, DatabaseTokenStore, FileTokenStore, TokenStore
from django_bitbucket_auth.tokens import Token, get_access_token

GRANTS = ("client_credentials", "authorization_code", "password", "refresh_token", "bitbucket_jwt", "implicit")


class Command(BaseCommand):
    """The token goes to standard output, and all else to standard error: ``TOKEN=$(manage.py bitbucket_token)``."""

    help = (
        "Print an access token. Secrets are read from the environment (BITBUCKET_PASSWORD, BITBUCKET_CODE, "
        "BITBUCKET_CODE_VERIFIER, BITBUCKET_REFRESH_TOKEN, BITBUCKET_ASSERTION, BITBUCKET_SHARED_SECRET, or files that "
        "…_FILE names), from standard input, or asked for; never from the command line."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", default=conf.DEFAULT_ALIAS, help="alias; default: default")
        parser.add_argument("--grant", choices=GRANTS, default=GRANTS[0], help=f"default: {GRANTS[0]}")
        parser.add_argument("--scopes", default="", help="scopes to ask for, with spaces between them")
        parser.add_argument("--username", help="of the password grant")
        parser.add_argument("--redirect-uri", default="", help="the callback URL that the client is registered with")
        parser.add_argument("--client-key", help="of the installed Connect app, to sign a JWT for it")
        parser.add_argument("--app-key", help="of the Connect app; default: the client's id")
        parser.add_argument("--store", help="database, cache, cache:ALIAS or file:FOLDER; default: none")
        parser.add_argument("--key", help="the token's name in the store")
        parser.add_argument("--force", action="store_true", help="use the grant even if the store has a token")
        parser.add_argument("--no-refresh", action="store_true", help="don't renew a stored token, use the grant")
        parser.add_argument("--stdin", action="store_true", help="read secrets from standard input, a line each")
        parser.add_argument("--format", choices=["text", "json"], default="text", help="default: text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            token = self._implicit(options) if options["grant"] == "implicit" else self._token(options)
        except (BitbucketAuthError, TypeError, ValueError) as error:
            # `from None`: a traceback's frames may be mailed or logged, and hold what was typed.
            raise CommandError(str(error)) from None
        self.stdout.write(_as_json(token) if options["format"] == "json" else token.access_token)

    def _token(self, options: dict[str, Any]) -> Token:
        arguments = {
            name: options[name]
            for name in ("scopes", "username", "client_key", "app_key", "redirect_uri")
            if options[name]
        }
        return get_access_token(
            options["provider"],
            grant=options["grant"],
            store=_store(options["store"]),
            key=options["key"],
            credentials=lambda: self._secrets(options),
            force_credentials=options["force"],
            use_refresh_token=False if options["no_refresh"] else None,
            **arguments,
        )

    @sensitive_variables()
    def _secrets(self, options: dict[str, Any]) -> dict[str, str]:
        """What the grant needs besides the options; asked for only when it is sent."""
        alias, stdin = options["provider"], options["stdin"]

        def read(name: str) -> dict[str, str]:
            return {name: secret_input.read(alias, name, stdin=stdin)}

        match options["grant"]:
            case "password":
                return read("password")
            case "refresh_token":
                return read("refresh_token")
            case "bitbucket_jwt":
                return read("shared_secret" if options["client_key"] else "assertion")
            case "authorization_code":
                code = secret_input.read(alias, "code", stdin=stdin, optional=True)
                verifier = secret_input.read(alias, "code_verifier", stdin=stdin, optional=True)
                return {"code": code, "code_verifier": verifier} if code else self._consent(options)
        return {}

    @sensitive_variables()
    def _consent(self, options: dict[str, Any]) -> dict[str, str]:
        """A code from somebody who opens Bitbucket's page in a browser, and pastes the address that it led to."""
        provider = conf.provider(conf.provider_settings(options["provider"]))
        state, verifier = secrets.token_urlsafe(32), code_verifier()
        address = self._pasted(provider.authorization_url(options["redirect_uri"], state, verifier), options)
        answer = dict(parse_qsl(urls.query(address)))
        if answer.get("state") != state:
            raise StateError("The pasted address belongs to another request.", "state_mismatch")
        if "error" in answer:
            raise authorization_error(answer["error"], answer.get("error_description", ""))
        return {"code": answer.get("code", ""), "code_verifier": verifier}

    @sensitive_variables()
    def _implicit(self, options: dict[str, Any]) -> Token:
        """A token from the fragment of the address that somebody pastes."""
        for name in ("store", "key", "force", "no_refresh", "username", "client_key", "app_key"):
            if options[name]:
                raise CommandError(f"implicit takes no --{name.replace('_', '-')}.")
        provider, state = conf.provider(conf.provider_settings(options["provider"])), secrets.token_urlsafe(32)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            url = provider.implicit_url(options["redirect_uri"], state, tuple(options["scopes"].split()))
        for warning in caught:
            self.stderr.write(str(warning.message))
        return provider.implicit_token(self._pasted(url, options), state=state)

    def _pasted(self, url: str, options: dict[str, Any]) -> str:
        self.stderr.write(f"Open this address, allow it, and paste the address that you are sent to:\n\n{url}\n")
        self.stderr.flush()
        return secret_input.line("Address: ", stdin=options["stdin"])


def _store(name: str | None) -> TokenStore | None:
    kind, _, where = (name or "").partition(":")
    makers: dict[str, Callable[[], TokenStore | None]] = {
        "": lambda: None,
        "database": DatabaseTokenStore,
        "cache": lambda: CacheTokenStore(where or "default"),
        "file": lambda: FileTokenStore(where),
    }
    if kind not in makers or (kind == "file" and not where):
        raise CommandError(f"--store {name!r} is none of: database, cache, cache:ALIAS, file:FOLDER.")
    return makers[kind]()


def _as_json(token: Token) -> str:
    members = {
        "access_token": token.access_token,
        "token_type": "Bearer",
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "scope": " ".join(token.scopes),
        "refresh_token": token.refresh_token or None,
    }
    return json.dumps(members, indent=2)
