"""Sphinx: ``tox run -e docs``."""

import re
from pathlib import Path

project = "django-bitbucket-auth"
author = "the django-bitbucket-auth maintainers"
# Read, not imported: building the documentation takes neither Django nor the app.
_package = Path(__file__).parent.parent / "django_bitbucket_auth" / "__init__.py"
release = version = re.search(r'^__version__ = "(.+)"$', _package.read_text("utf-8"), re.MULTILINE)[1]

extensions = ["sphinx.ext.autosectionlabel"]
autosectionlabel_prefix_document = True
exclude_patterns = ["_build"]
default_role = "any"
nitpicky = True
highlight_language = "none"  # a block says its language itself

html_theme = "alabaster"
html_title = f"{project} {release}"
html_theme_options = {
    "description": "Sign in to Django with Bitbucket",
    "fixed_sidebar": True,
    "page_width": "68rem",
    "sidebar_width": "15rem",
    "show_powered_by": False,
}
html_static_path = ["_static"]
html_css_files = ["pictures.css"]
html_show_copyright = False
html_copy_source = False
