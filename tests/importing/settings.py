"""A project that signs people in with three apps: django-allauth, Python Social Auth, and this one."""

from settings import *  # noqa: F403
from settings import INSTALLED_APPS as APPS
from settings import MIDDLEWARE as LAYERS

from django_bitbucket_auth.testing import SIMULATOR_CLIENT_ID, SIMULATOR_CLIENT_SECRET

#: Without the packages, as the project is afterwards.
OWN_APPS = [app for app in APPS if app != "former"]
INSTALLED_APPS = [
    *OWN_APPS,
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.bitbucket_oauth2",
    "social_django",
]
OWN_MIDDLEWARE = LAYERS
MIDDLEWARE = [*LAYERS, "allauth.account.middleware.AccountMiddleware"]
OWN_BACKENDS = ["django_bitbucket_auth.backends.BitbucketBackend", "django.contrib.auth.backends.ModelBackend"]
AUTHENTICATION_BACKENDS = [
    *OWN_BACKENDS,
    "allauth.account.auth_backends.AuthenticationBackend",
    "social_core.backends.bitbucket.BitbucketOAuth2",
    "social_core.backends.bitbucket_datacenter.BitbucketDataCenterOAuth2",
]
ROOT_URLCONF = "importing.urls"

SITE = "https://testserver"
GIT = "https://git.example.com/bitbucket"
BITBUCKET_AUTH = {
    "default": {"CLIENT_ID": SIMULATOR_CLIENT_ID, "CLIENT_SECRET": SIMULATOR_CLIENT_SECRET},
    "dc": {
        "KIND": "data-center",
        "BASE_URL": GIT,
        "CLIENT_ID": SIMULATOR_CLIENT_ID,
        "CLIENT_SECRET": SIMULATOR_CLIENT_SECRET,
        "CALLBACK_URL": f"{SITE}/complete/bitbucket-datacenter-oauth2/",
    },
}

ACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_STORE_TOKENS = True
SOCIALACCOUNT_QUERY_EMAIL = True

SOCIAL_AUTH_BITBUCKET_OAUTH2_KEY = SOCIAL_AUTH_BITBUCKET_DATACENTER_OAUTH2_KEY = SIMULATOR_CLIENT_ID
SOCIAL_AUTH_BITBUCKET_OAUTH2_SECRET = SOCIAL_AUTH_BITBUCKET_DATACENTER_OAUTH2_SECRET = SIMULATOR_CLIENT_SECRET
SOCIAL_AUTH_BITBUCKET_DATACENTER_OAUTH2_URL = GIT
# Its own "s256" is not what RFC 7636 says.
SOCIAL_AUTH_BITBUCKET_DATACENTER_OAUTH2_PKCE_CODE_CHALLENGE_METHOD = "S256"
