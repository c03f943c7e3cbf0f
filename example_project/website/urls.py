"""The site's pages. Three need code of their own; the others' templates have the person as ``user``."""

from collections.abc import Callable

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LogoutView
from django.http import HttpResponseBase
from django.urls import include, path
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from . import views


def members_only(template_name: str) -> Callable[..., HttpResponseBase]:
    """A page for signed-in people. Not cached: after signing out the back button shows nothing."""
    return never_cache(login_required(TemplateView.as_view(template_name=template_name)))


# The admin's own login asks for a password. Here Bitbucket is asked first: the form is for those who are signed in and
# no staff, and may have a superuser's password.
admin_pages = [path("login/", login_required(admin.site.login)), *admin.site.urls[0]]

urlpatterns = [
    path("", never_cache(TemplateView.as_view(template_name="home.html")), name="home"),
    path("profile/", members_only("profile.html"), name="profile"),
    path("repositories/", views.repositories, name="repositories"),
    path("members/", never_cache(views.Members.as_view()), name="members"),
    path("owners/", never_cache(views.Owners.as_view()), name="owners"),
    path("private/", members_only("private.html"), name="private"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("admin/", (admin_pages, "admin", "admin")),
    path("bitbucket/", include("django_bitbucket_auth.urls")),
]
