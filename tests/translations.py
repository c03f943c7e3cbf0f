"""The catalogues of translations: what the source has to be translated, and what they hold.

Whoever has added, changed or removed a text runs ``tox run -e translations`` (or this file, by a Python that has Django
and polib). It brings the catalogues up to date,
compiles them, and lists what is to be translated yet in ``django_bitbucket_auth/locale``. GNU gettext isn't needed.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polib
from django.utils.translation.template import templatize

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "django_bitbucket_auth"
LOCALE = PACKAGE / "locale"
#: Language → its plural forms, as gettext wants them.
LANGUAGES = {
    "de": "nplurals=2; plural=(n != 1);",
    "es": "nplurals=2; plural=(n != 1);",
    "fr": "nplurals=2; plural=(n > 1);",
    "ja": "nplurals=1; plural=0;",
    "pt": "nplurals=2; plural=(n != 1);",
}
#: What speaks to developers speaks English.
ENGLISH = ("management", "migrations", "testing")

_TEXT = r"""(u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*")"""
_IN_TEMPLATE = re.compile(rf"\b(n?gettext|_)\({_TEXT}(?:, {_TEXT})?")


class Message(NamedTuple):
    """A text in the source; ``plural`` is empty where there is only one form."""

    text: str
    plural: str = ""


def messages(package: Path = PACKAGE) -> dict[Message, list[str]]:
    """What is to be translated, with the files that it is in.

    Raises:
        ValueError: a text that isn't written out where it is marked, so that no catalogue can have it.
    """
    found: dict[Message, list[str]] = {}
    files = [path for pattern in ("*.py", "*.html") for path in sorted(package.rglob(pattern))]
    for path in files:
        place = path.relative_to(package)
        if place.parts[0] in ENGLISH:
            continue
        source = path.read_text(encoding="utf-8")
        for message in _in_python(source) if path.suffix == ".py" else _in_template(source):
            places = found.setdefault(message, [])
            places.extend({place.as_posix()} - set(places))
    return found


def _in_python(source: str) -> Iterator[Message]:
    tree = ast.parse(source)
    marks = {
        name.asname or name.name: name.name.removesuffix("_lazy")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for name in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and "gettext" in marks.get(node.func.id, ""):
            number = {"gettext": 1, "ngettext": 2}[marks[node.func.id]]
            texts = [one.value for one in node.args[:number] if isinstance(one, ast.Constant)]
            if len(texts) != number:
                raise ValueError(f"{ast.unparse(node)}: write the text out, so that it can be translated")
            yield Message(*map(str, texts))


def _in_template(source: str) -> Iterator[Message]:
    for _function, text, plural in _IN_TEMPLATE.findall(templatize(source)):
        yield Message(ast.literal_eval(text), ast.literal_eval(plural) if plural else "")


def catalogue(language: str, locale: Path = LOCALE) -> polib.POFile:
    """A language's catalogue; an empty one for a language that has none yet."""
    path = _path(language, locale)
    if path.exists():
        return polib.pofile(str(path), wrapwidth=110)
    made = polib.POFile(wrapwidth=110)
    made.metadata = {
        "Project-Id-Version": "django-bitbucket-auth",
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": LANGUAGES[language],
    }
    return made


def missing(found: polib.POFile, wanted: dict[Message, list[str]]) -> list[Message]:
    """What a catalogue doesn't translate: texts that it lacks, or has empty or marked as fuzzy."""
    good = {Message(entry.msgid, entry.msgid_plural) for entry in found if entry.translated()}
    return [message for message in wanted if message not in good]


def update(language: str, wanted: dict[Message, list[str]], locale: Path = LOCALE) -> list[Message]:
    """Bring a language's catalogue up to date, and compile it. Returns what is to be translated yet."""
    found = catalogue(language, locale)
    had = {Message(entry.msgid, entry.msgid_plural): entry for entry in found}
    found.clear()
    for message, places in wanted.items():
        entry = had.get(message) or polib.POEntry(msgid=message.text, msgid_plural=message.plural)
        if message.plural and not entry.msgstr_plural:
            forms = re.search(r"nplurals=(\d)", LANGUAGES[language])
            assert forms is not None
            entry.msgstr_plural = dict.fromkeys(range(int(forms[1])), "")
        entry.occurrences = [(place, "") for place in places]
        entry.flags = [flag for flag in entry.flags if flag != "python-format"]
        entry.flags += ["python-format"] if "%" in message.text else []
        found.append(entry)
    path = _path(language, locale)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save(str(path))
    found.save_as_mofile(str(path.with_suffix(".mo")))
    return missing(found, wanted)


def main(locale: Path = LOCALE) -> str:
    """Update all. Returns what is to be translated yet, in words."""
    wanted, lines = messages(), []
    for language in LANGUAGES:
        left = update(language, wanted, locale)
        lines += [f"{language}: {len(wanted) - len(left)} of {len(wanted)} texts are translated"]
        lines += [f"    {message.text!r}" for message in left]
    return "\n".join(lines)


def _path(language: str, locale: Path) -> Path:
    return locale / language / "LC_MESSAGES" / "django.po"


if __name__ == "__main__":
    sys.stdout.write(main(*map(Path, sys.argv[1:])) + "\n")
