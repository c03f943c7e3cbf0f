"""The tests' site, and the floor."""

from django.urls import path
from urls import urlpatterns as tests_urlpatterns

from . import floor

urlpatterns = [
    *tests_urlpatterns,
    path("floor/login/", floor.start),
    path("floor/callback/", floor.callback),
]
