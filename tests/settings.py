"""The smallest project that runs the app: the one that the README describes, plus the admin."""

import os
import tempfile
from pathlib import Path

import environ

env = environ.Env()

SECRET_KEY = "tests-only-secret-key-of-fifty-characters-0123456789"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_bitbucket_auth",
    "people",
    "former",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    # postgres://… and mysql://… come from tox.
    "default": env.db("DATABASE_URL", default="sqlite://:memory:"),
    # Somewhere else to migrate to.
    "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}

if DATABASES["default"]["ENGINE"].endswith(".mysql"):  # needs: mysql
    # It speaks the protocol in plain Python: nothing has to be compiled to run the tests.
    import pymysql

    pymysql.install_as_MySQLdb()

if DATABASES["default"]["ENGINE"].endswith(".sqlite3"):  # needs: sqlite
    # A file, because each connection of a test with threads would have an empty memory of its own.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(tempfile.gettempdir(), f"bitbucket_auth_{os.getpid()}.sqlite3"))}

# Some tests run in a process of their own, with one of the models in people/.
AUTH_USER_MODEL = env("TESTS_USER_MODEL", default="auth.User")

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

AUTHENTICATION_BACKENDS = [
    "django_bitbucket_auth.backends.BitbucketBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Some tests run a command in a process of its own, against their simulated Bitbucket.
if simulated := env("TESTS_BITBUCKET", default=""):
    BITBUCKET_AUTH = {"default": {"BASE_URL": simulated, "API_URL": simulated}}
# Nobody's secrets, and hashing them for real takes longer than all else.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "bitbucket_auth:login"
LOGIN_REDIRECT_URL = "/"

ROOT_URLCONF = "urls"
STATIC_URL = "static/"
USE_TZ = True
# Django 6.1's name for where mail goes; earlier ones don't look at it.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
