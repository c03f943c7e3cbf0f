"""Whose Bitbucket account belongs to which user, and the tokens that came with it. Knows nothing of the network."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from . import crypto
from .fields import SealedField
from .indexes import PrefixIndex

if TYPE_CHECKING:
    from .oauth.token import Token

logger = logging.getLogger("django_bitbucket_auth")


def _visible(text: str) -> str:
    # Bitbucket's words, and a database takes neither U+0000 nor half a surrogate pair (RFC 6749, 3.3 has only these).
    return "".join(re.findall(r"[!-~]", text))


class BitbucketAccount(models.Model):
    """A person's account at one Bitbucket, tied to a user.

    The identity is ``(instance, uid)``: Cloud's ``uuid``, Data Center's numeric id. User names, nicknames and e-mail
    addresses change hands and are kept for show, and to know what Bitbucket gave last.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="bitbucket_accounts", verbose_name=_("user")
    )
    provider = models.CharField(_("provider"), max_length=40)
    instance = models.CharField(_("instance"), max_length=200)
    uid = models.CharField(_("id at Bitbucket"), max_length=128)
    account_id = models.CharField(_("Atlassian account id"), max_length=128, null=True, blank=True)  # noqa: DJ001
    username = models.CharField(_("user name"), max_length=255, blank=True)
    display_name = models.CharField(_("display name"), max_length=255, blank=True)
    email = models.EmailField(_("e-mail address"), blank=True)
    email_verified = models.BooleanField(_("e-mail address is confirmed"), default=False)
    avatar_url = models.URLField(_("avatar"), max_length=1000, blank=True)
    profile_url = models.URLField(_("profile"), max_length=1000, blank=True)
    #: Set when an administrator vouches that a changed profile is still the same person.
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True, editable=False)
    #: Of which package an import has taken over the row. The first sign-in clears it: from then on it is the person's.
    imported_from = models.CharField(_("imported from"), max_length=20, blank=True, default="", editable=False)
    #: What ``RECHECK`` asks for, where all workers see it: the begin of the latest question and of the latest that was
    #: answered with yes, and what the latest was answered with (empty while it is under way). All of it is of the alias
    #: that asked: what another one lets in proves nothing here, nor does whom it keeps out.
    asked_at = models.DateTimeField(_("asked at"), null=True, blank=True, editable=False)
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True, editable=False)
    # With defaults of the database: workers of the version before write rows, too, while a new one is rolled out.
    asked_by = models.CharField(_("asked by"), max_length=40, blank=True, default="", db_default="", editable=False)
    answer = models.CharField(_("answer"), max_length=20, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("Bitbucket account")
        verbose_name_plural = _("Bitbucket accounts")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["instance", "uid"], name="bitbucket_auth_account_uid"),
            models.UniqueConstraint(fields=["instance", "account_id"], name="bitbucket_auth_account_account_id"),
        ]
        #: What the admin searches and filters by.
        indexes: ClassVar[list[models.Index]] = [
            PrefixIndex(fields=["username"], name="bitbucket_account_username"),
            PrefixIndex(fields=["display_name"], name="bitbucket_account_display_name"),
            PrefixIndex(fields=["email"], name="bitbucket_account_email"),
            models.Index(fields=["uid"], name="bitbucket_account_uid"),
            models.Index(fields=["account_id"], name="bitbucket_account_account_id"),
            models.Index(fields=["provider", "id"], name="bitbucket_account_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.display_name or self.username or self.uid} ({self.instance})"

    @staticmethod
    def placeholder_uid(account_id: str) -> str:
        """What stands for the ``uid`` of a person of whom an import knows the Atlassian account id alone.

        No ``uid`` of a Bitbucket equals it: Cloud's is a uuid in braces, a Data Center's is a number.
        """
        return f"import:{account_id}"

    @property
    def is_placeholder(self) -> bool:
        """Whether the row is waiting for the sign-in that brings its ``uid``."""
        return self.account_id is not None and self.uid == self.placeholder_uid(self.account_id)


class BitbucketToken(models.Model):
    """A token, encrypted. Only ``reveal()`` gives it in the clear.

    ``sealed`` holds access token, token secret and refresh token as one ciphertext that opens in this row only; so the
    pair is always replaced as a whole. ``version`` grows with each new pair. The columns of a lease say who is
    refreshing until when; those of the state, that Bitbucket said twice the pair is lost.
    """

    #: What ``save()`` leaves alone on an existing row: a stale instance must not bring back an old pair.
    TOKEN_COLUMNS: ClassVar[frozenset[str]] = frozenset(
        {"sealed", "token_type", "scope", "expires_at", "version", "lease", "lease_until", "refused_at", "lost_at"}
    )

    key = models.CharField(_("key"), max_length=200, unique=True)
    account = models.ForeignKey(
        BitbucketAccount,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="tokens",
        verbose_name=_("account"),
    )
    provider = models.CharField(_("provider"), max_length=40)
    instance = models.CharField(_("instance"), max_length=200)
    client_id = models.CharField(_("client id"), max_length=255)
    grant = models.CharField(_("grant"), max_length=64)
    redirect_uri = models.CharField(_("redirect URI"), max_length=1000, blank=True)
    sealed = SealedField(_("encrypted tokens"), editable=False)
    token_type = models.CharField(_("token type"), max_length=40, blank=True)
    scope = models.TextField(_("scopes"), blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True, db_index=True)
    version = models.PositiveBigIntegerField(_("version"), default=1, editable=False)
    lease = models.CharField(_("lease"), max_length=64, blank=True, editable=False)
    lease_until = models.DateTimeField(_("lease ends"), null=True, blank=True, editable=False)
    refused_at = models.DateTimeField(_("first refused at"), null=True, blank=True, editable=False)
    lost_at = models.DateTimeField(_("lost since"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True, db_index=True)

    class Meta:
        verbose_name = _("Bitbucket token")
        verbose_name_plural = _("Bitbucket tokens")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["account", "provider"], name="bitbucket_auth_token_account_provider"),
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["lost_at"], name="bitbucket_token_lost_at")]

    def __str__(self) -> str:
        return self.key

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, but never the token columns of an existing row: ``stores.database.replace_pair`` alone writes those.

        Raises:
            TypeError: for positional arguments.
        """
        if args:
            raise TypeError("save() takes keyword arguments only")
        if self._state.adding:
            # Not the UPDATE that Django tries first for an instance made by hand with the id of a row.
            kwargs["force_insert"] = True
        else:
            asked: Iterable[str] | None = kwargs.get("update_fields")
            names = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            # Nor the time of the pair: disuse is counted from it, and Bitbucket ends what is not used for three months.
            kwargs["update_fields"] = (names if asked is None else set(asked)) - self.TOKEN_COLUMNS - {"updated_at"}
        super().save(**kwargs)

    @sensitive_variables()
    def reveal(self) -> Token | None:
        """The token in the clear, or ``None`` if it can't be decrypted, which is logged.

        Raises:
            ConfigurationError: ``BITBUCKET_AUTH_TOKEN_KEYS`` is wrong.
        """
        opened = self.open()
        return opened[0] if opened else None

    @sensitive_variables()
    def open(self) -> tuple[Token, tuple[str, ...]] | None:
        """As ``reveal``, with the scopes that were asked for."""
        from .oauth.token import Token

        try:
            secrets = self._secrets()
        except crypto.Unsealable:
            logger.warning(
                "The token %s can't be decrypted: no configured key fits, or the row was altered. "
                "It counts as no token until %s.",
                self.key,
                "its row is deleted" if self.account_id is None else "the person signs in again",
            )
            return None
        token = Token(
            access_token=secrets["access_token"],
            token_secret=secrets["token_secret"],
            refresh_token=secrets["refresh_token"],
            token_type=self.token_type,
            scopes=tuple(self.scope.split()),
            expires_at=aware(self.expires_at),
        )
        return token, tuple(secrets.get("asked", ()))

    @sensitive_variables()
    def holds(self) -> frozenset[str]:
        """Which of ``access_token``, ``token_secret`` and ``refresh_token`` the ciphertext holds, and no word of them.

        None if it can't be decrypted. That is not logged: lists of many rows ask, and use no token.

        Raises:
            ConfigurationError: ``BITBUCKET_AUTH_TOKEN_KEYS`` is wrong.
        """
        try:
            secrets = self._secrets()
        except crypto.Unsealable:
            return frozenset()
        return frozenset(name for name in ("access_token", "token_secret", "refresh_token") if secrets[name])

    @sensitive_variables()
    def _secrets(self) -> dict[str, Any]:
        # The key is bound into the ciphertext; that the row is the key's own has to be seen, too. A person's row that
        # lost its account would be used whether the person is active or not.
        if not self._has_its_own_key():
            raise crypto.Unsealable
        secrets: dict[str, Any] = json.loads(crypto.unseal("token column", self.key, self.sealed))
        return secrets

    def _has_its_own_key(self) -> bool:
        if self.account_id is None:
            return not self.is_account_key(self.key)
        return self.key == self.key_of(self.account_id, self.provider)

    @staticmethod
    def key_of(account_pk: object, provider: str) -> str:
        """The key of the one token that an account has at a provider."""
        return f"account:{account_pk}:{provider}"

    @staticmethod
    def is_account_key(key: str) -> bool:
        """Whether a key is one of ``key_of``'s, as far as a database might take it for one."""
        return key.strip().casefold().startswith("account:")

    @staticmethod
    @sensitive_variables()
    def columns(key: str, token: Token, asked: tuple[str, ...] = ()) -> dict[str, str | datetime | None]:
        """The token columns of the row ``key`` for a new pair; ``asked`` are the scopes that were asked for."""
        secrets: dict[str, object] = {
            "access_token": token.access_token,
            "token_secret": token.token_secret,
            "refresh_token": token.refresh_token,
        }
        if asked:
            secrets["asked"] = asked
        return {
            "sealed": crypto.seal("token column", key, json.dumps(secrets)),
            "token_type": _visible(token.token_type)[:40],
            "scope": " ".join(filter(None, map(_visible, token.scopes))),
            "expires_at": storable(token.expires_at),
            "lease": "",
            "lease_until": None,
            "refused_at": None,
            "lost_at": None,
        }


def storable(moment: datetime | None) -> datetime | None:
    """An aware time as ``USE_TZ`` wants it stored."""
    return moment if moment is None or settings.USE_TZ else timezone.make_naive(moment, timezone.get_default_timezone())


def aware(moment: datetime | None) -> datetime | None:
    """A stored time, aware whatever ``USE_TZ`` says."""
    if moment is None or timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())
