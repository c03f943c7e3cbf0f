"""System checks: what is missing or wrong, each with what to do about it. Ids are listed in the documentation."""

from .project import check_project
from .providers import check_deployment, check_settings

__all__ = ["check_deployment", "check_project", "check_settings"]
