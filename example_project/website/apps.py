"""What happens when Django starts this site."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_migrate

from . import owners


class WebsiteConfig(AppConfig):
    name = "website"

    def ready(self) -> None:
        post_migrate.connect(owners.create_groups, dispatch_uid="website.create_groups")
        user_logged_in.connect(owners.become_staff, dispatch_uid="website.become_staff")
