"""User models as projects have them."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Member(AbstractBaseUser):
    """Signs in with an e-mail address, and has no other name."""

    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)

    objects = BaseUserManager()

    USERNAME_FIELD = "email"

    def __str__(self) -> str:
        return self.email


class Employee(AbstractBaseUser):
    """Has a number that nobody but the employer knows: not null, unique, no default."""

    username = models.CharField(max_length=150, unique=True)
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    email = models.EmailField(blank=True)
    number = models.CharField(max_length=20, unique=True)
    is_active = models.BooleanField(default=True)

    objects = BaseUserManager()

    USERNAME_FIELD = "username"

    def __str__(self) -> str:
        return self.username


class Pseudonym(AbstractBaseUser):
    """Has a short name, half a family name, no address, no first name, and an id that is known before it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handle = models.CharField(max_length=12, unique=True)
    last_name = models.CharField(max_length=5, blank=True)
    is_active = models.BooleanField(default=True)

    objects = BaseUserManager()

    USERNAME_FIELD = "handle"

    def __str__(self) -> str:
        return self.handle


class Heir(Pseudonym):
    """Has columns that nobody fills in: a link to the row above, and a rank that the site decides on."""

    rank = models.CharField(max_length=5, editable=False)
