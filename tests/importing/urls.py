"""The project's URLs while the packages are there."""

from django.urls import include, path
from urls import urlpatterns as own

urlpatterns = [
    *own,
    path("accounts/", include("allauth.urls")),
    path("", include("social_django.urls", namespace="social")),
]
