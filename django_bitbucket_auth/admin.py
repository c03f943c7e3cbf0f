"""Who is connected, to be looked at. An identity is what Bitbucket proved: nobody enters or changes one here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .models import BitbucketAccount

logger = logging.getLogger("django_bitbucket_auth")

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[BitbucketAccount]
else:
    _Admin = admin.ModelAdmin


_SHOWN = (
    "user",
    "provider",
    "instance",
    "uid",
    "account_id",
    "username",
    "display_name",
    "email",
    "email_verified",
    "avatar_url",
    "profile_url",
    "confirmed_at",
    "created_at",
    "updated_at",
)


@admin.register(BitbucketAccount)
class BitbucketAccountAdmin(_Admin):
    """Read only, but for one action: to vouch for a person whose profile has become unrecognisable."""

    list_display = ("username", "display_name", "instance", "user", "updated_at")
    list_select_related = ("user",)
    search_fields = ("username", "display_name", "uid")
    actions = ("confirm",)
    fields = readonly_fields = _SHOWN
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: BitbucketAccount | None = None) -> bool:
        return False

    def has_confirm_permission(self, request: HttpRequest) -> bool:
        """Who may change accounts, though there is nothing in them to change by hand."""
        return request.user.has_perm("bitbucket_auth.change_bitbucketaccount")

    @admin.action(description=_("Confirm that this still is the same person"), permissions=["confirm"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[BitbucketAccount]) -> None:
        """Let the next sign-in of these accounts pass, though name and address have both changed."""
        accounts = list(queryset)
        for account in accounts:
            with transaction.atomic(using=queryset.db):
                # By itself: the time of the last change is that of the profile.
                queryset.filter(pk=account.pk).update(confirmed_at=timezone.now())
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
