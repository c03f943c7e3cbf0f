"""Our URLs. The alias stands before the verb, so that no callback URL is a prefix of another."""

from django.urls import path

from . import account_views, views

app_name = "bitbucket_auth"

urlpatterns = [
    path("login/", views.login, name="login"),
    path("callback/", views.callback, name="callback"),
    path("connect/", account_views.connect, name="connect"),
    path("disconnect/", account_views.disconnect, name="disconnect"),
    path("connections/", account_views.connections, name="connections"),
    path("<slug:alias>/login/", views.login, name="login"),
    path("<slug:alias>/callback/", views.callback, name="callback"),
    path("<slug:alias>/connect/", account_views.connect, name="connect"),
    path("<slug:alias>/disconnect/", account_views.disconnect, name="disconnect"),
    path("<slug:alias>/connections/", account_views.connections, name="connections"),
]
