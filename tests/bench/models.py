"""Where the floor keeps its tokens."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class FloorToken(models.Model):
    """A person's tokens, as a hand-written view would keep them."""

    # An app without migrations is made before the users' table is.
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False)
    access_token = models.TextField()
    refresh_token = models.TextField()
    expires_at = models.DateTimeField()

    # Said here for type checkers, which look at the tests' settings, where this app isn't installed.
    objects: ClassVar[models.Manager[FloorToken]] = models.Manager()

    def __str__(self) -> str:
        return str(self.user)
