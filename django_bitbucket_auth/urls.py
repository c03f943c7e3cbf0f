"""Our URLs. The alias stands before the verb, so that no callback URL is a prefix of another."""

from django.urls import path

from . import views

app_name = "bitbucket_auth"

urlpatterns = [
    path("login/", views.login, name="login"),
    path("callback/", views.callback, name="callback"),
    path("<slug:alias>/login/", views.login, name="login"),
    path("<slug:alias>/callback/", views.callback, name="callback"),
]
