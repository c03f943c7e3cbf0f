"""Template tags: ``{% load bitbucket_auth %}``."""
