"""``manage.py bitbucket_import``: the people of django-allauth or Python Social Auth, on the same users."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import IntegrityError, router, transaction

from django_bitbucket_auth import conf, kinds
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.management.importing.packages import PACKAGES, Package
from django_bitbucket_auth.management.importing.takeover import Import, Outcome, Undo
from django_bitbucket_auth.models import BitbucketAccount
from django_bitbucket_auth.oauth import urls

#: Rows that are named for each reason in the report; the lines above it have all.
MOST_NAMED = 10
_DONE = {"new": "imported", "known": "here already", "again": "as an earlier row", "refused": "left out: it"}
_REHEARSED = {**_DONE, "new": "to be imported"}


class Command(BaseCommand):
    """Dry unless told otherwise, one transaction, a line for each row, and a report of who lands where."""

    help = (
        "Take over the Bitbucket accounts of django-allauth or Python Social Auth, from their tables. Shows what it "
        "would do; --apply does it. May be run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("package", choices=list(PACKAGES))
        parser.add_argument("--provider", default=conf.DEFAULT_ALIAS, help="alias to import for; default: default")
        parser.add_argument("--source", action="append", help="the package's own name of the provider; may be repeated")
        parser.add_argument("--apply", action="store_true", help="write it; without, it is only shown")
        parser.add_argument("--undo", action="store_true", help="take away what was imported and not used since")
        parser.add_argument("--tokens", action="store_true", help="tokens, too, of the same OAuth client")
        parser.add_argument("--client-id", help="of the client that tokens are of where the tables don't say it")
        parser.add_argument("--redirect-uri", help="the callback URL that the tokens were got with (Data Center)")
        parser.add_argument("--usernames", action="store_true", help="rows keyed by user name, if both ids are known")
        parser.add_argument("--address", action="append", default=[], help="one that this Data Center had before")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            configuration = conf.provider_settings(options["provider"])
            provider = conf.provider(configuration)
            database = router.db_for_write(BitbucketAccount)
            package = PACKAGES[options["package"]](database)
            if options["undo"]:
                undo = Undo(
                    package=package.name,
                    alias=configuration.alias,
                    instance=provider.instance,
                    database=database,
                    apply=options["apply"],
                )
                return self._undo(undo)
            package.check()
        except ConfigurationError as error:
            raise CommandError(str(error)) from None
        if options["tokens"] and provider.signs_requests:
            raise CommandError("Tokens of OAuth 1.0a aren't taken over: leave out --tokens, and let people sign in.")
        if options["tokens"] and not configuration.store_tokens:
            raise CommandError(f"The provider {configuration.alias!r} keeps no tokens: STORE_TOKENS is False.")
        takeover = Import(
            package=package,
            sources=_sources(package, configuration, options["source"]),
            configuration=configuration,
            instance=provider.instance,
            database=database,
            apply=options["apply"],
            usernames=options["usernames"],
            addresses=_addresses(options["address"]),
            tokens=options["tokens"],
            client_id=options["client_id"],
            redirect_uri=_redirect_uri(configuration, options),
        )
        self._import(takeover)

    def _import(self, takeover: Import) -> None:
        words = _DONE if takeover.apply else _REHEARSED
        whats: Counter[str] = Counter()
        tokens: Counter[str] = Counter()
        refused: defaultdict[str, list[int]] = defaultdict(list)
        names = ", ".join(takeover.sources)
        self.stdout.write(f"{takeover.package.table} ({names}) -> {takeover.configuration.alias}, {takeover.instance}")
        try:
            with transaction.atomic(using=takeover.database) if takeover.apply else nullcontext():
                for outcome in takeover.outcomes():
                    self.stdout.write(_line(outcome, words))
                    whats[outcome.what] += 1
                    tokens[outcome.token] += bool(outcome.token)
                    if outcome.why:
                        # Only as many as are named, and the number: there may be a great many.
                        refused[outcome.why] += [outcome.row] * (len(refused[outcome.why]) < MOST_NAMED)
                        whats[outcome.why] += 1
        except IntegrityError as error:
            raise CommandError(
                f"Somebody signed in at the same moment ({str(error).partition(chr(10))[0]}). "
                "Nothing was written; run it again."
            ) from None
        landed, people = whats["new"] + whats["known"], whats["new"] + whats["known"] + whats["refused"]
        self.stdout.write(f"\n{landed} of {people} people land on the same user.")
        for why, rows in refused.items():
            more = ", ..." if whats[why] > len(rows) else ""
            self.stdout.write(f"{_counted(whats[why], why)}{', '.join(map(str, rows))}{more}")
        for token, number in sorted((+tokens).items()):
            self.stdout.write(f"{number} x {'token ' + words['new'] if token == 'new' else token}")
        self._next_steps(takeover)

    def _next_steps(self, takeover: Import) -> None:
        alias = takeover.configuration.alias
        path = takeover.package.callback_path(takeover.sources[0])
        named = "" if alias == conf.DEFAULT_ALIAS else f', {{"alias": "{alias}"}}'
        if not takeover.apply:
            self.stdout.write("\nNothing was written. Run it with --apply to do so.")
        self.stdout.write(
            "\nTo keep the callback URL that is registered at Bitbucket, put two lines into urls.py, the second at the "
            "top of urlpatterns:\n\n"
            "    from django_bitbucket_auth.views import callback\n"
            f'    path("{path.removeprefix("/")}", callback{named}),\n\n'
            f"and the whole URL into BITBUCKET_AUTH[{alias!r}]['CALLBACK_URL']: https://your-site.example{path}"
        )

    def _undo(self, undo: Undo) -> None:
        gone = kept = 0
        with transaction.atomic(using=undo.database) if undo.apply else nullcontext():
            for account, goes in undo.accounts():
                gone, kept = gone + goes, kept + (not goes)
                what = ("removed" if undo.apply else "to be removed") if goes else "kept: it has been used since"
                self.stdout.write(f"account {account.pk}, user {account.user_id}, {account.uid}: {what}")
        self.stdout.write(f"\n{gone} {'removed' if undo.apply else 'to be removed'}, {kept} kept.")
        if not undo.apply:
            self.stdout.write("Nothing was written. Run it with --apply to do so.")


def _line(outcome: Outcome, words: dict[str, str]) -> str:
    token = f"; {'token ' + words['new'] if outcome.token == 'new' else outcome.token}" if outcome.token else ""
    what = f"{words[outcome.what]} {outcome.why}".rstrip()
    return f"row {outcome.row}, user {outcome.user}, {outcome.person}: {what}{token}"


def _counted(number: int, why: str) -> str:
    """``"1 has no stable id: row "``, ``"2 have no stable id: rows "``."""
    verb, _, rest = why.partition(" ")
    plural = {"has": "have", "is": "are", "belongs": "belong"}
    return f"1 {why}: row " if number == 1 else f"{number} {plural.get(verb, verb)} {rest}: rows "


def _sources(package: Package, configuration: conf.ProviderSettings, given: list[str] | None) -> tuple[str, ...]:
    """The package's names for this Bitbucket.

    Raises:
        CommandError: it has none.
    """
    kind = "data-center" if kinds.is_self_hosted(configuration.kind) else "cloud"
    sources = tuple(given or package.sources.get(kind, ()))
    if not sources:
        raise CommandError(
            f"{package.name} has no provider of its own for {configuration.kind!r}. Name yours with --source."
        )
    return sources


def _addresses(given: list[str]) -> tuple[str, ...]:
    for address in given:
        if wrong := urls.problem(address, allow_http=True):
            raise CommandError(f"--address {address!r} {wrong}.")
    return tuple(given)


def _redirect_uri(configuration: conf.ProviderSettings, options: dict[str, Any]) -> str:
    """The callback URL of the tokens, without which a Data Center renews none.

    Raises:
        CommandError: nobody says it.
    """
    uri = options["redirect_uri"] or configuration.callback_url or ""
    if options["tokens"] and not uri and kinds.is_self_hosted(configuration.kind):
        raise CommandError(
            "A Data Center renews tokens only for the callback URL that they were got with. Set CALLBACK_URL to it, or "
            "give it with --redirect-uri."
        )
    return str(uri)
