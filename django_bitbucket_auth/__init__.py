"""Sign in to Django with Bitbucket, and keep API access alive."""

__version__ = "0.1.0.dev0"
