"""Pages with guards, for tests of guards and of the middleware."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import View
from django.views.static import serve
from urls import home, private

from django_bitbucket_auth.decorators import BitbucketLoginRequiredMixin, bitbucket_login_required


@bitbucket_login_required
def plain(request: HttpRequest) -> HttpResponse:
    """For everybody who has signed in with Bitbucket."""
    return HttpResponse("plain")


@bitbucket_login_required(workspaces=["acme"])
def members(request: HttpRequest) -> HttpResponse:
    """For members."""
    return HttpResponse("members")


@bitbucket_login_required(workspaces=["globex", "acme:owner"], max_age=60)
def owners(request: HttpRequest) -> HttpResponse:
    """For owners, and for another workspace's members."""
    return HttpResponse("owners")


@bitbucket_login_required(workspaces=("acme",))
async def amembers(request: HttpRequest, name: str) -> HttpResponse:
    """The same, in an event loop."""
    return HttpResponse(f"members {name}")


@bitbucket_login_required(scopes=["account", "repository:admin"])
def admins(request: HttpRequest) -> HttpResponse:
    """For those whose token may administer repositories."""
    return HttpResponse("admins")


@bitbucket_login_required(provider="second")
def second(request: HttpRequest) -> HttpResponse:
    """For people of another Bitbucket."""
    return HttpResponse("second")


class Members(BitbucketLoginRequiredMixin, View):
    """For members."""

    workspaces = ("acme",)

    def get(self, request: HttpRequest, *args: Any) -> HttpResponse:
        """The page."""
        return HttpResponse("class")


class AMembers(BitbucketLoginRequiredMixin, View):
    """For members, in an event loop."""

    workspaces = ("acme",)

    async def get(self, request: HttpRequest, *args: Any) -> HttpResponse:
        """The page."""
        return HttpResponse("async class")


def sign_out(request: HttpRequest) -> HttpResponse:
    """The way out."""
    logout(request)
    return HttpResponse("out")


async def aprivate(request: HttpRequest) -> HttpResponse:
    """The signed-in person's name, in an event loop."""
    user = await request.auser()
    return HttpResponse(user.get_username())


urlpatterns = [
    path("", home, name="home"),
    path("private/", private, name="private"),
    path("aprivate/", aprivate),
    path("plain/", plain),
    path("members/", members),
    path("owners/", owners),
    path("amembers/<name>/", amembers),
    path("admins/", admins),
    path("second/", second),
    path("class/", Members.as_view()),
    path("aclass/", AMembers.as_view()),
    path("sign-out/", sign_out, name="logout"),
    path("leave/", LogoutView.as_view()),
    path("files/<path:path>", serve, {"document_root": __file__.rpartition("/")[0]}),
    path("bitbucket/", include("django_bitbucket_auth.urls")),
]
