"""What makes a list of millions as fast as one of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import CharField, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from .. import conf
from ..models import BitbucketAccount, BitbucketToken

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _Admin = admin.ModelAdmin
    _Paginator = Paginator


class CappedPaginator(_Paginator):
    """Counts no further than ``MOST``: a count of millions takes a second, and so does a page that far behind."""

    MOST = 5000

    @cached_property
    def count(self) -> int:
        return min(self._found, self.MOST)

    @property
    def is_cut(self) -> bool:
        """Whether there are more than are counted."""
        return self._found > self.MOST

    @cached_property
    def _found(self) -> int:
        # In the list's order, so that the database goes along the index of that order, and stops.
        rows: Any = self.object_list
        found: int = rows[: self.MOST + 1].count()
        return found


class ReadOnlyAdmin(_Admin):
    """To be looked at. Lists are in one order, newest first: any other would sort the whole table."""

    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # "Select all" would say how many are counted, and take all that there are.
    actions_selection_counter = False
    list_per_page = 100

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["bitbucket_auth/admin.css"]}

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # The filters' own names. Any other would let people ask for columns that they aren't
        # shown (a ciphertext, letter by letter), and go through the table for it.
        return lookup in {getattr(chosen, "parameter_name", None) for chosen in self.list_filter}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ProviderFilter(admin.SimpleListFilter):
    """By provider, of those that are configured: to ask the table which there are would go through all of it."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(alias), str(alias)) for alias in conf.aliases()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = [alias for alias in conf.aliases() if alias == self.value()]
        return queryset.filter(provider=known[0]) if known else queryset


class LostFilter(admin.SimpleListFilter):
    """Whose tokens are lost: these people have to sign in again."""

    title = _("tokens")
    parameter_name = "tokens"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("lost", _("lost: signs in again"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "lost":
            return queryset
        lost = BitbucketToken.objects.filter(lost_at__isnull=False, account__isnull=False)
        return queryset.filter(pk__in=lost.values("account"))


def found(accounts: QuerySet[BitbucketAccount], term: str) -> QuerySet[BitbucketAccount]:
    """The accounts that a search is about.

    The term, as a whole, is how a name or address begins, or it is an id, or the name of a user of this site. Each of
    these has an index; words inside of a name have none.
    """
    term = term.strip()
    if not term:
        return accounts
    # Asked first: in one query with the others, it would take the indexes from them.
    users = list(_users(term))
    return accounts.filter(
        Q(username__istartswith=term)
        | Q(display_name__istartswith=term)
        | Q(email__istartswith=term)
        | Q(uid__in={term, "{" + term.strip("{}").lower() + "}"})
        | Q(account_id=term)
        | Q(user__in=users)
    )


def _users(term: str) -> QuerySet[Any, Any]:
    model = get_user_model()
    if not isinstance(model._meta.get_field(model.USERNAME_FIELD), CharField):
        return model._default_manager.none()  # a number or a relation takes no search term
    return model._default_manager.filter(**{model.USERNAME_FIELD: term}).values_list("pk", flat=True)[:1]
