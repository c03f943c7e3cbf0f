"""The example site. What Bitbucket needs stands first; the rest is as in any Django project."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import django
import environ
from django.core.exceptions import ImproperlyConfigured

from website.owners import OWNERS

PROJECT = Path(__file__).resolve().parent.parent
env = environ.Env()

DEBUG = env.bool("DEBUG", default=False)

# --- Sign in with Bitbucket ---------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",  # has a section "Bitbucket" by itself
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_bitbucket_auth",
    "website",  # has a command, manage.py workspace_report, and says who is let into the admin
]
AUTHENTICATION_BACKENDS = [
    "django_bitbucket_auth.backends.BitbucketBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "bitbucket_auth:login"
LOGIN_REDIRECT_URL = "profile"
LOGOUT_REDIRECT_URL = "home"

# BITBUCKET_CLIENT_ID and BITBUCKET_CLIENT_SECRET are read from the environment by the app itself.
# A real site has one kind of Bitbucket, and of the following the lines for that. This one can be run
# with any of four (run.py --provider).
KIND = env.str("BITBUCKET_KIND", default="cloud")
PROVIDER: dict[str, Any] = {} if KIND == "cloud" else {"KIND": KIND}

if KIND in ("cloud", "cloud-oauth1"):
    # "*" says that everybody with a Bitbucket account is meant; a real site names its workspace.
    PROVIDER["WORKSPACES"] = env.list("BITBUCKET_WORKSPACES", default=["*"])
if KIND in ("data-center", "data-center-oauth1"):
    PROVIDER["BASE_URL"] = env.str("BITBUCKET_BASE_URL", default="")
    # Its addresses come from a directory and are never confirmed: of these domains they are believed.
    PROVIDER["TRUST_EMAILS"] = env.list("BITBUCKET_TRUST_EMAILS", default=[])
if KIND == "data-center":
    # To read what a person may read. Without it they would be shown public repositories only.
    PROVIDER["SCOPES"] = ["REPO_READ"]
if KIND == "data-center-oauth1":
    # PEM text, or a path. It signs each request, so there is no secret.
    PROVIDER["RSA_KEY"] = env.str("BITBUCKET_RSA_KEY", default="")

# Who leaves the workspace, or is deactivated at Bitbucket, is signed out within so many seconds (by
# MembershipMiddleware, below).
PROVIDER["RECHECK"] = env.int("BITBUCKET_RECHECK", default=300)

BITBUCKET_AUTH = {"default": PROVIDER}

# One process serves this site, so its own memory will do as the cache.
SILENCED_SYSTEM_CHECKS = ["bitbucket_auth.W005"]

# The simulated Bitbucket is asked for by name. Credentials that are merely missing never select it:
# its people are made up, and anybody can be any of them.
if env.bool("BITBUCKET_SIMULATOR", default=False):
    if not DEBUG:
        raise ImproperlyConfigured("BITBUCKET_SIMULATOR=1 lets anybody in: set DEBUG=1 or unset it.")
    from django_bitbucket_auth.testing import (
        SIMULATOR_CLIENT_ID,
        SIMULATOR_CLIENT_SECRET,
        default_workspaces,
    )

    SIMULATOR_URL = (
        f"http://127.0.0.1:{env.int('BITBUCKET_SIMULATOR_PORT', default=8010)}"
        f"{env.str('BITBUCKET_SIMULATOR_CONTEXT_PATH', default='')}"
    )
    PROVIDER |= {
        "BASE_URL": SIMULATOR_URL,
        "CLIENT_ID": SIMULATOR_CLIENT_ID,
        "CLIENT_SECRET": SIMULATOR_CLIENT_SECRET,
    }
    if KIND in ("cloud", "cloud-oauth1"):
        PROVIDER["API_URL"] = SIMULATOR_URL
        PROVIDER["WORKSPACES"] = [default_workspaces()["acme"].uuid]  # one of its people is in no workspace
    else:
        PROVIDER["TRUST_EMAILS"] = ["example.com"]
    if KIND == "data-center-oauth1":
        from django_bitbucket_auth.testing import SIMULATOR_RSA_KEY

        PROVIDER["RSA_KEY"] = SIMULATOR_RSA_KEY
    SILENCED_SYSTEM_CHECKS.append("bitbucket_auth.W004")  # it is meant to be on this machine

# Owners of the workspace are put into this group at each sign-in. What it may do is in website/owners.py.
if OWN_WORKSPACES := [workspace for workspace in PROVIDER.get("WORKSPACES", []) if workspace != "*"]:
    PROVIDER["GROUPS"] = {OWNERS: [f"{workspace}:owner" for workspace in OWN_WORKSPACES]}

# The page of a sign-in that failed shows a code like BB-7F3K: this finds the line with the cause.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django_bitbucket_auth": {"handlers": ["console"], "level": "INFO"}},
}

# --- The site -----------------------------------------------------------------------------------

# Public, so good for nothing but a site on one's own machine. Fixed, so that sessions and stored
# tokens outlive a restart.
SECRET_KEY = env.str("SECRET_KEY", default="example-only-" + "public" * 8 if DEBUG else env.NOTSET)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost"])
ROOT_URLCONF = "website.urls"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if django.VERSION >= (6, 0)
    else "website.policy.ContentSecurityPolicyMiddleware",
    "website.policy.AdminPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_bitbucket_auth.middleware.MembershipMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Nothing but this site's own styles and people's pictures; no script at all, but for the admin (website/policy.py).
SECURE_CSP = {
    "default-src": ["'none'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "https:"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PROJECT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "website.context.bitbucket",
            ],
        },
    },
]

# A file; or DATABASE_URL names a database of a server: postgres://…, mysql://….
DATABASES = {
    "default": env.db("DATABASE_URL")
    if env.str("DATABASE_URL", default="")
    else {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": env.str("DATABASE_PATH", default=str(PROJECT / "db.sqlite3")),
    },
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    with suppress(ImportError):  # or there is mysqlclient, which Django finds by itself
        import pymysql

        pymysql.install_as_MySQLdb()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Cookies don't tell ports apart: other projects on localhost shall not lose their sessions to this.
SESSION_COOKIE_NAME = "example_sessionid"
CSRF_COOKIE_NAME = "example_csrftoken"
# Signing in works with "Strict" as well, which keeps the session from all that starts at other sites.
SESSION_COOKIE_SAMESITE = env.str("SESSION_COOKIE_SAMESITE", default="Lax")

STATIC_URL = "static/"
STATICFILES_DIRS = [PROJECT / "static"]
USE_TZ = True
TIME_ZONE = "UTC"
