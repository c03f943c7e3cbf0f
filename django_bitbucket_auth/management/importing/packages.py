"""The tables of django-allauth and of Python Social Auth, read by their names.

So it makes no difference whether the package is still installed. The models here are in registries of their own, as
Django's own record of migrations is: the project doesn't see them, and no migration is made for them. Their columns are
those that both packages have had for years. Tables are read a page at a time: MySQL's driver would fetch a whole query.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar

from django.apps.registry import Apps
from django.contrib.auth import get_user_model
from django.db import connections, models
from django.urls import NoReverseMatch, reverse
from django.views.decorators.debug import sensitive_variables

from ...exceptions import ConfigurationError
from ...models import aware
from ...oauth.token import Token

#: Rows that are read at a time.
PAGE = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One row: by ``key`` the package finds the user when ``profile``'s owner signs in."""

    pk: int
    user_pk: Any
    key: str
    profile: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token, and the OAuth client that it was given to, where the table says so."""

    token: Token
    client_id: str | None = None


class Package(ABC):
    """One of the packages, in one database."""

    name: str
    table: str
    #: Kind of provider → names that the package has for it.
    sources: ClassVar[Mapping[str, tuple[str, ...]]]

    def __init__(self, database: str) -> None:
        self.database = database
        self.model = self._model()

    def check(self) -> None:
        """See to it that the table is there, and speaks of this project's users.

        Raises:
            ConfigurationError: it isn't, or doesn't.
        """
        connection, users = connections[self.database], get_user_model()._meta.db_table
        with connection.cursor() as cursor:
            if self.table not in connection.introspection.table_names(cursor):
                raise ConfigurationError(
                    f"The database {self.database!r} has no table {self.table}: nothing to import."
                )
            relations: Mapping[str, Any] = connection.introspection.get_relations(cursor, self.table)
        # Python Social Auth has a setting for another model: its numbers would be other people's here.
        if relations.get("user_id", ("", users))[1] != users:
            raise ConfigurationError(
                f"The users of {self.table} are in {relations['user_id'][1]}, and those of AUTH_USER_MODEL in {users}."
            )

    @sensitive_variables()
    def rows(self, sources: tuple[str, ...]) -> Iterator[Row]:
        """The rows of these sources, in the order of their numbers."""
        last = 0
        query = self.model.objects.using(self.database).filter(provider__in=sources).order_by("pk")
        while page := list(query.filter(pk__gt=last)[:PAGE]):
            last = page[-1].pk
            # Compared again: a collation may take one name for another.
            same = [row for row in page if row.provider in sources]
            yield from (Row(row.pk, row.user_id, row.uid, _object(row.extra_data)) for row in same)

    @abstractmethod
    def tokens(self, row_pk: int) -> list[HeldToken]:
        """The tokens that were kept with a row."""

    @abstractmethod
    def callback_path(self, source: str) -> str:
        """Where Bitbucket sends people whom this package has sent there."""

    def _model(self) -> Any:
        return _table(
            self.table,
            user=models.ForeignKey(get_user_model(), models.DO_NOTHING, related_name="+", db_constraint=False),
            provider=models.CharField(max_length=200),
            uid=models.CharField(max_length=255),
            # As text, whatever the column's type: one that is no JSON is that row's trouble alone.
            extra_data=models.TextField(),
        )


class Allauth(Package):
    """django-allauth 0.63 to 65. It keeps all of the profile, and tokens in a table of their own."""

    name = "allauth"
    table = "socialaccount_socialaccount"
    sources: ClassVar[Mapping[str, tuple[str, ...]]] = {"cloud": ("bitbucket_oauth2",)}

    @sensitive_variables()
    def tokens(self, row_pk: int) -> list[HeldToken]:
        found = self._tokens.objects.using(self.database).filter(account_id=row_pk).order_by("pk")
        # What it calls the token's secret is the refresh token.
        kept = [(row, _token({"access_token": row.token, "refresh_token": row.token_secret})) for row in found]
        return [
            HeldToken(replace(token, expires_at=aware(row.expires_at)), self._clients.get(row.app_id))
            for row, token in kept
            if token
        ]

    def callback_path(self, source: str) -> str:
        return _reversed(f"{source}_callback", (), f"/accounts/{source}/login/callback/")

    @cached_property
    def _clients(self) -> dict[int | None, str]:
        """The number of an app → its client's id. Of a token without an app, a setting had the client."""
        apps = _table("socialaccount_socialapp", client_id=models.CharField(max_length=191))
        return dict(apps.objects.using(self.database).values_list("pk", "client_id"))

    @cached_property
    def _tokens(self) -> Any:
        return _table(
            "socialaccount_socialtoken",
            account_id=models.BigIntegerField(),
            app_id=models.BigIntegerField(null=True),
            token=models.TextField(),
            token_secret=models.TextField(),
            expires_at=models.DateTimeField(null=True),
        )


class SocialAuth(Package):
    """Python Social Auth, as social-auth-app-django keeps it: of the profile what its settings ask for, and the token.

    ``bitbucket`` was its backend for OAuth 1.0a.
    """

    name = "social-auth"
    table = "social_auth_usersocialauth"
    sources: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cloud": ("bitbucket-oauth2", "bitbucket"),
        "data-center": ("bitbucket-datacenter-oauth2",),
    }

    @sensitive_variables()
    def tokens(self, row_pk: int) -> list[HeldToken]:
        found = self.model.objects.using(self.database).filter(pk=row_pk).values_list("extra_data", flat=True)
        kept = [_token(data, _moment(data.get("auth_time"))) for data in map(_object, found)]
        return [HeldToken(token) for token in kept if token]

    def callback_path(self, source: str) -> str:
        return _reversed("social:complete", (source,), f"/complete/{source}/")


PACKAGES: dict[str, type[Package]] = {package.name: package for package in (Allauth, SocialAuth)}


@sensitive_variables()
def _token(members: Mapping[str, Any], start: datetime | None = None) -> Token | None:
    """The token in what was kept of Bitbucket's answer, which came at ``start``; none if there is none.

    What was kept of OAuth 1.0a is an object, and counts as none.
    """
    if start is None:
        # A lifetime from nobody knows when.
        members = {name: value for name, value in members.items() if name != "expires_in"}
    try:
        return Token.from_answer(members, start)
    except ValueError:
        return None


def _moment(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(str(seconds)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _object(column: str) -> Mapping[str, Any]:
    """The JSON object in a column; an empty one if there is none."""
    try:
        value = json.loads(column)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _table(name: str, **columns: models.Field[Any, Any]) -> Any:
    meta = type("Meta", (), {"apps": Apps(), "app_label": "bitbucket_auth", "db_table": name, "managed": False})
    members = {"__module__": __name__, "Meta": meta, "id": models.BigAutoField(primary_key=True), **columns}
    return type("Row", (models.Model,), members)


def _reversed(name: str, args: tuple[str, ...], usual: str) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return usual
