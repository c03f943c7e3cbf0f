"""What people read when connecting an account fails, where the words for a sign-in don't fit."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

#: Reason code → title and message.
CONNECTING: dict[str, tuple[str | Promise, str | Promise]] = {
    "cancelled": (
        _("The account was not connected"),
        _(
            "Bitbucket was not allowed to tell this site whose account it is. If you change your mind, connect it "
            "again and choose “Grant access”."
        ),
    ),
    "state_expired": (
        _("Connecting took too long"),
        _("For your safety it has to be finished within a few minutes. Please connect the account again."),
    ),
    "state_reused": (_("This was used before"), _("Each attempt works once. Please connect the account again.")),
    "not_a_member": (
        _("This account is not a member"),
        _(
            "This site is for members of certain Bitbucket workspaces, and this account is in none of them. Ask an "
            "administrator of the workspace to invite it, or connect another account."
        ),
    ),
    "membership_unknown": (
        _("The membership could not be checked"),
        _(
            "This site is for members of certain Bitbucket workspaces, and Bitbucket can't say at the moment whether "
            "this account is one. Please try again in a minute."
        ),
    ),
    "vetoed": (
        _("You may not connect this account"),
        _(
            "This site doesn't let you connect this Bitbucket account. If you think that it should, ask the people who "
            "run the site."
        ),
    ),
    "not_a_person": (
        _("This is not a person's account"),
        _(
            "Bitbucket answered with an account that belongs to an app or an access token. Sign in at Bitbucket as "
            "yourself, and connect that account."
        ),
    ),
    "no_stable_id": (
        _("Bitbucket didn't say whose account it is"),
        _(
            "Bitbucket's answer lacks the id that this site knows accounts by. Please tell the people who run this "
            "site, and give them the code below."
        ),
    ),
    "already_connected": (
        _("This Bitbucket account is tied to another user"),
        _(
            "If the other user of this site is you as well, sign in with the account and disconnect it there first. "
            "If you don't know about another user, tell the people who run this site, and give them the code below."
        ),
    ),
    "insufficient_scope": (
        _("This site may not ask whose account it is"),
        _(
            "The site's registration at Bitbucket lacks a permission. Please tell the people who run this site, and "
            "give them the code below."
        ),
    ),
    "unavailable": (
        _("Connecting doesn't work at the moment"),
        _("Bitbucket is down or overloaded, or the way there is. Please try again in a minute."),
    ),
    "rate_limited": (
        _("Too many requests at once"),
        _("Bitbucket answers this site only so often in an hour. Please try again in a few minutes."),
    ),
    "misconfigured": (
        _("Connecting isn't set up correctly"),
        _(
            "This site's settings for Bitbucket are incomplete or wrong. Please tell the people who run this site, and "
            "give them the code below."
        ),
    ),
}
