"""People's accounts: who they are, their tokens in words, and what can be done about them."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..exceptions import NotConnected, ReauthenticationRequired
from ..models import BitbucketAccount, BitbucketToken, aware
from . import renewing, words
from .listing import LostFilter, ProviderFilter, ReadOnlyAdmin, found

logger = logging.getLogger("django_bitbucket_auth")


_FIELDSETS: tuple[Any, ...] = (
    (None, {"fields": ("user", "display_name", "username", "email", "email_verified", "profile", "avatar")}),
    (_("Identity"), {"fields": ("provider", "instance", "uid", "account_id", "imported_from", "confirmed_at")}),
    (_("Access to Bitbucket"), {"fields": ("tokens", "scopes")}),
    (_("Times"), {"fields": ("created_at", "updated_at")}),
)


@admin.register(BitbucketAccount)
class BitbucketAccountAdmin(ReadOnlyAdmin):
    """Read only, but for three actions: renew tokens, forget them, vouch for a person who is unrecognisable."""

    list_display = ("name", "user_link", "instance", "tokens", "created")
    list_filter = (ProviderFilter, LostFilter)
    list_select_related = ("user",)
    sortable_by = ("created",)
    search_fields = ("username",)  # for the box: what is searched is `found`'s
    search_help_text = _(
        "How a name or an e-mail address at Bitbucket begins; or an id at Bitbucket, or a user name of this site."
    )
    actions = ("refresh", "forget", "confirm")
    fieldsets = _FIELDSETS
    readonly_fields = tuple(name for _title, options in _FIELDSETS for name in options["fields"])

    def get_queryset(self, request: HttpRequest) -> QuerySet[BitbucketAccount]:
        return super().get_queryset(request).prefetch_related("tokens")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[BitbucketAccount], search_term: str
    ) -> tuple[QuerySet[BitbucketAccount], bool]:
        return found(queryset, search_term), False

    @admin.display(description=_("display name"))
    def name(self, account: BitbucketAccount) -> str:
        """With the address below: a column more, and the list wouldn't fit beside its filters."""
        name = account.display_name or account.username or account.uid
        if not account.email:
            return name
        return format_html('{} <span class="bba-admin-below">{}</span>', name, account.email)

    @admin.display(description=_("user"))
    def user_link(self, account: BitbucketAccount) -> str:
        options = account.user._meta
        try:
            url = reverse(
                f"{self.admin_site.name}:{options.app_label}_{options.model_name}_change", args=[account.user_id]
            )
        except NoReverseMatch:  # users aren't in this admin
            return str(account.user)
        return format_html('<a href="{}">{}</a>', url, account.user)

    @admin.display(description=_("connected"), ordering="pk")
    def created(self, account: BitbucketAccount) -> date | None:
        moment = aware(account.created_at)
        return moment and timezone.localdate(moment)

    @admin.display(description=_("tokens"))
    def tokens(self, account: BitbucketAccount) -> str:
        return words.tokens_of(account)

    @admin.display(description=_("scopes"))
    def scopes(self, account: BitbucketAccount) -> str | None:
        return " ".join(sorted({scope for token in account.tokens.all() for scope in token.scope.split()})) or None

    @admin.display(description=_("profile"))
    def profile(self, account: BitbucketAccount) -> str | None:
        return words.link(account.profile_url)

    @admin.display(description=_("avatar"))
    def avatar(self, account: BitbucketAccount) -> str | None:
        # A link: to load the picture would tell its server who looks at whom.
        return words.link(account.avatar_url)

    def delete_model(self, request: HttpRequest, obj: BitbucketAccount) -> None:
        """Delete an account, and with it what its user has by it."""
        from ..accounts import ungroup

        database = router.db_for_write(BitbucketAccount)
        with transaction.atomic(using=database):
            ungroup(obj, obj.user, database)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[BitbucketAccount]) -> None:
        for account in queryset:
            self.delete_model(request, account)

    def has_refresh_permission(self, request: HttpRequest) -> bool:
        """Who may change tokens."""
        return request.user.has_perm("bitbucket_auth.change_bitbuckettoken")

    def has_forget_permission(self, request: HttpRequest) -> bool:
        """Who may delete tokens."""
        return request.user.has_perm("bitbucket_auth.delete_bitbuckettoken")

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        """Who may change accounts, though there is nothing in them to change by hand."""
        return request.user.has_perm("bitbucket_auth.change_bitbucketaccount")

    @admin.action(description=_("Renew the stored tokens now"), permissions=["refresh"])
    def refresh(self, request: HttpRequest, queryset: QuerySet[BitbucketAccount]) -> None:
        """Renew the tokens of a few accounts, and tell what came of each."""
        accounts = list(queryset[: renewing.MOST + 1])
        untried = len(accounts) > renewing.MOST
        for account in accounts[: renewing.MOST]:
            if not account.tokens.all():
                self.message_user(request, _about(account, gettext("there is no stored token.")), messages.WARNING)
        for outcome in renewing.renew(accounts[: renewing.MOST]):
            untried = not self._tell(request, outcome) or untried
        if untried:
            self.message_user(
                request,
                gettext("The others were not tried. “manage.py bitbucket_refresh” renews any number of tokens."),
                messages.WARNING,
            )

    def _tell(self, request: HttpRequest, outcome: renewing.Outcome) -> bool:
        """Tell what came of one token. Returns whether it was tried."""
        account, error = outcome.account, outcome.error
        if outcome.token is not None:
            text = gettext("renewed: %(state)s.") % {"state": words.stored(outcome.token.expires_at)}
            self.message_user(request, _about(account, text, outcome.provider), messages.SUCCESS)
            self.log_change(request, account, f"Renewed the stored token of the provider {outcome.provider}.")
        elif isinstance(error, (NotConnected, ReauthenticationRequired)):
            text = gettext("not renewed, the person has to sign in again. Cause: %(cause)s") % {"cause": error}
            self.message_user(request, _about(account, text, outcome.provider), messages.WARNING)
        elif error is not None:
            text = gettext("not renewed. Cause: %(cause)s") % {"cause": error}
            self.message_user(request, _about(account, text, outcome.provider), messages.ERROR)
        return outcome.token is not None or error is not None

    @admin.action(description=_("Forget the stored tokens"), permissions=["forget"])
    def forget(self, request: HttpRequest, queryset: QuerySet[BitbucketAccount]) -> TemplateResponse | None:
        """Delete the tokens of accounts, once that is confirmed."""
        accounts = list(queryset[: self.list_per_page])
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": gettext("Forget the stored tokens?"),
                "opts": self.opts,
                "accounts": [(account, words.tokens_of(account)) for account in accounts],
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/bitbucket_auth/forget.html", context)
        number, rows = 0, BitbucketToken.objects.using(router.db_for_write(BitbucketToken))
        for account in accounts:
            with transaction.atomic(using=rows.db):
                # A renewal that is under way doesn't bring them back: it never inserts.
                deleted, _by_model = rows.filter(account=account.pk).delete()
                if deleted:
                    self.log_change(request, account, "Deleted the stored tokens.")
            if deleted:
                number += 1
                logger.info("The user %s deleted the stored tokens of the account %s", request.user.pk, account.pk)
        told = ngettext("The tokens of %d account were deleted.", "The tokens of %d accounts were deleted.", number)
        self.message_user(request, told % number, messages.SUCCESS)
        return None

    @admin.action(description=_("Confirm that this still is the same person"), permissions=["confirm"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[BitbucketAccount]) -> None:
        """Let the next sign-in of these accounts pass, though name and address have both changed."""
        accounts = list(queryset[: self.list_per_page])
        rows = BitbucketAccount.objects.using(router.db_for_write(BitbucketAccount))
        for account in accounts:
            with transaction.atomic(using=rows.db):
                # By itself: the time of the last change is that of the profile.
                rows.filter(pk=account.pk).update(confirmed_at=timezone.now())
                self.log_change(request, account, "Confirmed that this still is the same person.")
            logger.warning(
                "The user %s confirmed that the account %s (%s on %s) still is the same person",
                request.user.pk,
                account.pk,
                account.uid,
                account.instance,
            )
        told = ngettext("%d account was confirmed.", "%d accounts were confirmed.", len(accounts)) % len(accounts)
        self.message_user(request, told, messages.SUCCESS)


def _about(account: BitbucketAccount, text: str, provider: str = "") -> str:
    return f"{account}{f', {provider}' if provider else ''}: {text}"
