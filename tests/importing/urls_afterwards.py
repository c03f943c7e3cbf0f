"""The project's URLs when they are gone, with the lines that the command prints."""

from django.urls import path
from urls import urlpatterns as own

from django_bitbucket_auth.views import callback

urlpatterns = [
    path("accounts/bitbucket_oauth2/login/callback/", callback),
    path("complete/bitbucket-oauth2/", callback),
    path("complete/bitbucket-datacenter-oauth2/", callback, {"alias": "dc"}),
    *own,
]
