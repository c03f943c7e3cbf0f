"""The application's own tokens. Those of accounts are told with the account."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import BitbucketToken
from . import words
from .listing import ProviderFilter, ReadOnlyAdmin


@admin.register(BitbucketToken)
class BitbucketTokenAdmin(ReadOnlyAdmin):
    """Read only. Who may delete one makes the application get another, where it can by itself."""

    list_display = ("key", "provider", "grant", "state", "updated_at")
    list_filter = (ProviderFilter,)
    search_fields = ("key__startswith",)
    sortable_by = ()
    fields = readonly_fields = (
        "key",
        "provider",
        "instance",
        "client_id",
        "grant",
        "scope",
        "state",
        "created_at",
        "updated_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[BitbucketToken]:
        return super().get_queryset(request).filter(account=None)

    def has_delete_permission(self, request: HttpRequest, obj: BitbucketToken | None = None) -> bool:
        # An account's goes with the account: who may delete that, or its user, is not asked for a right more.
        if obj is not None and obj.account_id is not None:
            return request.user.has_perm("bitbucket_auth.delete_bitbucketaccount")
        return super().has_delete_permission(request, obj)

    @admin.display(description=_("token"))
    def state(self, token: BitbucketToken) -> str:
        return words.state(token)
