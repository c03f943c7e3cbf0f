"""A site with the app's pages, the admin, and one page that only signed-in people see."""

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def home(request: HttpRequest) -> HttpResponse:
    """Anybody's page."""
    return HttpResponse("home", content_type="text/plain")


@login_required
def private(request: HttpRequest) -> HttpResponse:
    """The signed-in person's page: it says the user name."""
    return HttpResponse(request.user.get_username(), content_type="text/plain")


urlpatterns = [
    path("", home, name="home"),
    path("private/", private, name="private"),
    path("admin/", admin.site.urls),
    path("bitbucket/", include("django_bitbucket_auth.urls")),
]
