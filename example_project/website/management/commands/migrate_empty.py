"""``manage.py migrate_empty``: for ``run.py --check`` on a database server, which empties the database afterwards."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from website.owners import OWNERS

#: Written by migrating, and by emptying it again. So is the group of owners, by a check of a kind that has one.
OF_DJANGO = ("contenttypes.ContentType", "auth.Permission")


class Command(BaseCommand):
    """Looks first: a database with anything in it is left as it is."""

    help = "Migrate the database, unless there is something in it."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tables = connection.introspection.table_names()
        except DatabaseError as error:
            raise CommandError(f"The database of DATABASE_URL can't be used: {error}".rstrip()) from None
        for model in apps.get_models():
            if model._meta.db_table not in tables or model._meta.label in OF_DJANGO:
                continue
            rows = model._base_manager.all()
            if (rows.exclude(name=OWNERS) if model is Group else rows).exists():
                raise CommandError(
                    f"The database of DATABASE_URL isn't empty: {model._meta.db_table} has rows, which the check would "
                    "throw away with its own. Name an empty one. If that one was left by a check that was killed: "
                    "manage.py flush"
                )
        call_command("migrate", verbosity=0)
