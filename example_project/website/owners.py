"""Owners of the workspace look after accounts in the admin: what this site, and not the app, decides.

The app puts people into groups (``GROUPS``) and makes nobody staff: at another site the workspace may have owners who
have no business in its admin, and whoever becomes an owner at Bitbucket would be let in there. So a real site decides
for itself, and writes these lines, others, or none.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

#: The group that they are put into.
OWNERS = "Owners of the workspace"
#: Look at accounts, renew tokens, forget them. Nobody gets all rights because of a role at Bitbucket.
RIGHTS = ("view_bitbucketaccount", "change_bitbuckettoken", "delete_bitbuckettoken")


def group_names() -> list[str]:
    """The groups of owners; none where the site belongs to no workspace."""
    provider = getattr(settings, "BITBUCKET_AUTH", {}).get("default", {})
    return list(provider.get("GROUPS", ()))


def create_groups(**kwargs: Any) -> None:
    """After migrating: the app fills groups, and creates none."""
    from django.contrib.auth.models import Group, Permission

    rights = Permission.objects.filter(content_type__app_label="bitbucket_auth", codename__in=RIGHTS)
    for name in group_names():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(rights)


def become_staff(user: Any, **kwargs: Any) -> None:
    """At each sign-in: who is in such a group gets into the admin, and who no longer is doesn't.

    A session that goes on for somebody who is an owner no more has the group until the next sign-in; who leaves the
    workspace altogether loses session and group within RECHECK seconds.
    """
    names = group_names()
    if not names or user.is_superuser:  # made by `manage.py createsuperuser`: no role at Bitbucket has a say
        return
    is_owner = user.groups.filter(name__in=names).exists()
    if user.is_staff != is_owner:
        user.is_staff = is_owner
        user.save(update_fields=["is_staff"])
