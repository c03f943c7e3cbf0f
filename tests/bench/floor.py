"""The floor: a sign-in written by hand in some thirty lines, with what is needed for it to work and no more.

It keeps no account row, encrypts nothing, has one deadline per request, asks for one thing after the other, and its
errors are Django's page for them. Fast it is: one kept connection, a signed cookie, as few statements as do it.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from urllib.parse import urlencode

import requests
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from .models import FloorToken
from .settings import BITBUCKET_AUTH

CLIENT = BITBUCKET_AUTH["default"]
http = requests.Session()


def start(request: HttpRequest) -> HttpResponse:
    """On to Bitbucket."""
    state = secrets.token_urlsafe(32)
    back = request.build_absolute_uri("/floor/callback/")
    query = {"client_id": CLIENT["CLIENT_ID"], "response_type": "code", "redirect_uri": back, "state": state}
    response = HttpResponseRedirect(f"{CLIENT['BASE_URL']}/site/oauth2/authorize?{urlencode(query)}")
    response.set_signed_cookie("floor", state, max_age=600, httponly=True, samesite="Lax")
    return response


def callback(request: HttpRequest) -> HttpResponse:
    """State, code, profile, address, user, token, login."""
    if not constant_time_compare(request.get_signed_cookie("floor", "", max_age=600) or "", request.GET["state"]):
        raise PermissionDenied
    back = request.build_absolute_uri("/floor/callback/")
    form = {"grant_type": "authorization_code", "code": request.GET["code"], "redirect_uri": back}
    basic = (CLIENT["CLIENT_ID"], CLIENT["CLIENT_SECRET"])
    answer = http.post(f"{CLIENT['BASE_URL']}/site/oauth2/access_token", form, auth=basic, timeout=10)
    answer.raise_for_status()
    token = answer.json()
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    profile = http.get(f"{CLIENT['API_URL']}/2.0/user", headers=bearer, timeout=10).json()
    emails = http.get(f"{CLIENT['API_URL']}/2.0/user/emails", headers=bearer, timeout=10).json()
    address = next(one["email"] for one in emails["values"] if one["is_primary"] and one["is_confirmed"])
    names = {"email": address, "first_name": profile["display_name"]}
    user, new = User.objects.get_or_create(username=profile["uuid"], defaults=names)
    if user.email != address:
        user.email = address
        user.save(update_fields=["email"])
    kept = {
        "access_token": token["access_token"],
        "refresh_token": token["refresh_token"],
        "expires_at": timezone.now() + timedelta(seconds=token["expires_in"]),
    }
    if new or not FloorToken.objects.filter(user=user).update(**kept):
        FloorToken.objects.create(user=user, **kept)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    response = HttpResponseRedirect("/")
    response.delete_cookie("floor")
    return response
