"""What the documentation shows: code that compiles, names that exist, every option of every command."""

from __future__ import annotations

import re
from pathlib import Path
from types import CodeType

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandParser
from documented import DOCS, PAGES, ROOT, Block, blocks

APP = "django_bitbucket_auth"
#: Pages whose examples are whole. On others they may be a part of a dictionary.
WHOLE = [
    DOCS / "howto" / f"{name}.rst"
    for name in ("api", "tokens", "from-bitbucket-auth", "from-allauth", "from-social-auth")
]
#: In one line, or in parentheses.
IMPORTS = re.compile(rf"^\s*from ({APP}[\w.]*) import (?:\(([^)]+)\)|([^(\n#]+))", re.MULTILINE)


def imported() -> list[tuple[str, str]]:
    """Each name that some page imports from a module of ours."""
    return sorted(
        {
            (module, name.strip())
            for page in PAGES
            for module, several, few in IMPORTS.findall(page.read_text(encoding="utf-8"))
            for name in (several or few).split(",")
            if name.strip()
        }
    )


def options(parser: CommandParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("block", [block for page in WHOLE for block in blocks(page)], ids=str)
def test_examples_compile(block: Block) -> None:
    assert isinstance(compile(block.text, str(block), "exec"), CodeType)


@pytest.mark.parametrize(("module", "name"), imported())
def test_what_is_imported_exists(module: str, name: str) -> None:
    names: dict[str, object] = {}
    exec(f"from {module} import {name}", names)  # noqa: S102 - a module may be one that nobody has imported yet
    assert name in names


def test_all_pages_are_looked_through() -> None:
    assert {"README.rst", "index.rst", *(page.name for page in WHOLE)} <= {page.name for page in PAGES}
    # One in a line, and one in parentheses on several.
    assert {(f"{APP}.api", "get_session"), (f"{APP}.testing", "default_workspaces")} <= set(imported())


@pytest.mark.parametrize("command", sorted(name for name, app in get_commands().items() if app == APP))
def test_the_options_of_a_command_are_described(command: str) -> None:
    page = (DOCS / "commands.rst").read_text(encoding="utf-8")
    _, _, said = page.partition(f"\n{command}\n{'-' * len(command)}\n")
    said, _, _ = said.partition("\n----")
    described = {
        option for line in re.findall(r"^``--.+$", said, re.MULTILINE) for option in re.findall(r"--[\w-]+", line)
    }
    own = options(load_command_class(APP, command).create_parser("", command))
    assert described == own - options(BaseCommand().create_parser("", command))


def test_pictures_are_there_described_small_and_all_shown() -> None:
    """At a phone's and a desktop's width; tests/browser/test_pictures.py takes them."""
    shown = re.findall(
        r"^\.\. image:: /images/(\S+)\n(?:   :(?!alt)\w+: .+\n)*   :alt: \S",
        "\n".join(page.read_text(encoding="utf-8") for page in PAGES),
        re.MULTILINE,
    )
    pictures = {picture.name: picture.stat().st_size for picture in (DOCS / "images").iterdir()}
    assert sorted(shown) == sorted(pictures)
    names = ("login", "several", "error", "connections", "admin-list", "admin-account")
    assert set(pictures) == {f"{name}-{width}.png" for name in names for width in (360, 1280)}
    # The source archive has them, too.
    assert max(pictures.values()) <= 60_000 and sum(pictures.values()) <= 600_000


def test_what_the_readme_leads_to_exists() -> None:
    links = re.findall(r"<([\w/.-]+\.rst)>`__", (ROOT / "README.rst").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not Path(ROOT, link).is_file()] == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.rst").read_text(encoding="utf-8")
    pages = {page.relative_to(ROOT).as_posix() for page in DOCS.rglob("*.rst")} - {"docs/index.rst"}
    assert {page for page in pages if f"<{page}>" not in readme} == set()
