"""The app's configuration."""

from django.apps import AppConfig
from django.core import checks as django_checks
from django.utils.translation import gettext_lazy as _


class BitbucketAuthConfig(AppConfig):
    """Registers the system checks; imports nothing that is slow."""

    name = "django_bitbucket_auth"
    label = "bitbucket_auth"
    verbose_name = _("Bitbucket")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks."""
        from . import checks

        django_checks.register(checks.check_settings, django_checks.Tags.security)
        django_checks.register(checks.check_project, django_checks.Tags.security)
        django_checks.register(checks.check_deployment, django_checks.Tags.security, deploy=True)
