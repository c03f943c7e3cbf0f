"""Five languages beside English: complete, compiled, and on the pages."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polib
import pytest
import translations
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.html import escape
from logins import JANE, sign_in
from steps import CALLBACK, LOGIN
from translations import LANGUAGES, LOCALE, Message

from django_bitbucket_auth import phrases

ADVICE = "run `tox run -e translations`, then fill in django_bitbucket_auth/locale/{}/LC_MESSAGES/django.po"


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%(?:\(\w+\))?[sd]", text))


@pytest.fixture(scope="module")
def wanted() -> dict[Message, list[str]]:
    """What the source has to be translated."""
    return translations.messages()


# -- the catalogues ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_source_is_translated(language: str, wanted: dict[Message, list[str]]) -> None:
    missing = translations.missing(translations.catalogue(language), wanted)
    assert missing == [], ADVICE.format(language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_translated_that_the_source_has_no_more(language: str, wanted: dict[Message, list[str]]) -> None:
    found = [Message(entry.msgid, entry.msgid_plural) for entry in translations.catalogue(language)]
    assert set(found) - set(wanted) == set(), ADVICE.format(language)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_places_to_fill_in_that_its_text_has(language: str) -> None:
    wrong = [
        (entry.msgid, text)
        for entry in translations.catalogue(language)
        for text in (list(entry.msgstr_plural.values()) or [entry.msgstr])
        if placeholders(text) != placeholders(entry.msgid)
    ]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_plurals_have_as_many_forms_as_the_language(language: str) -> None:
    found = translations.catalogue(language)
    assert found.metadata["Plural-Forms"] == LANGUAGES[language]
    forms = {len(entry.msgstr_plural) for entry in found if entry.msgid_plural}
    assert forms == {1 if language == "ja" else 2}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    def held(entries: Any) -> dict[str, Any]:
        return {entry.msgid: (entry.msgid_plural, entry.msgstr, entry.msgstr_plural) for entry in entries}

    compiled = polib.mofile(str(LOCALE / language / "LC_MESSAGES" / "django.mo"))
    assert held(compiled) == held(translations.catalogue(language)), ADVICE.format(language)
    assert compiled.metadata["Plural-Forms"] == LANGUAGES[language]


# -- keeping them ------------------------------------------------------------------------------------------------------


def test_what_is_new_is_added_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    shutil.copytree(LOCALE / "de", tmp_path / "de")
    one, several = Message("A new text with %(place)s"), Message("%d new text", "%d new texts")
    kept = Message("Sign in")
    left = translations.update("de", {kept: ["a.html"], one: ["a.html"], several: ["b.py"]}, tmp_path)
    assert left == [one, several]
    found = {entry.msgid: entry for entry in translations.catalogue("de", tmp_path)}
    assert list(found) == [kept.text, one.text, several.text]
    assert found["Sign in"].msgstr == "Anmelden" and found["%d new text"].msgstr_plural == {0: "", 1: ""}
    assert found[one.text].flags == ["python-format"] and found[one.text].occurrences == [("a.html", "")]


def test_to_update_them_twice_changes_nothing(tmp_path: Path, wanted: dict[Message, list[str]]) -> None:
    shutil.copytree(LOCALE, tmp_path, dirs_exist_ok=True)
    said = translations.main(tmp_path)
    number = len(wanted)
    assert said.splitlines() == [f"{language}: {number} of {number} texts are translated" for language in LANGUAGES]
    for language in LANGUAGES:
        for name in ("django.po", "django.mo"):
            path = Path(language, "LC_MESSAGES", name)
            assert (tmp_path / path).read_bytes() == (LOCALE / path).read_bytes()


def test_a_language_that_is_new_begins_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["translations.py", str(tmp_path)])
    runpy.run_path(translations.__file__, run_name="__main__")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("de: 0 of ") and "    'Sign in'" in said
    assert translations.catalogue("ja", tmp_path).metadata["Plural-Forms"] == LANGUAGES["ja"]


def test_texts_are_found_in_code_and_templates(tmp_path: Path) -> None:
    for folder in ("testing", "templates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "testing" / "pages.py").write_text("from django.utils.translation import gettext\ngettext('no')")
    code = """
        from django.utils.translation import gettext as _, gettext_lazy, ngettext, override
        _("a" "b"), gettext_lazy("c"), ngettext("d", "e", n), override("f"), gettext("not Django's"), _("ab")
    """
    (tmp_path / "code.py").write_text(re.sub("^ +", "", code, flags=re.MULTILINE))
    template = (
        '{% load i18n %}{% translate "g" %}{{ _("h") }}{% blocktranslate count n=n %}one{% plural %}{{ n }}'
        '{% endblocktranslate %}{% translate "it\'s" %}{% blocktranslate trimmed %} i\n j {% endblocktranslate %}'
        "gettext('x')"
    )
    (tmp_path / "templates" / "page.html").write_text(template)
    texts: list[str | tuple[str, str]] = ["ab", "c", ("d", "e"), "g", "h", ("one", "%(n)s"), "it's", "i j"]
    wanted = [Message(*text) if isinstance(text, tuple) else Message(text) for text in texts]
    assert list(translations.messages(tmp_path)) == wanted


@pytest.mark.parametrize("call", ["gettext(text)", "gettext()", 'gettext(f"{x}")'])
def test_a_text_that_no_catalogue_can_have_is_refused(tmp_path: Path, call: str) -> None:
    (tmp_path / "code.py").write_text(f"from django.utils.translation import gettext\n{call}\n")
    with pytest.raises(ValueError, match="write the text out"):
        translations.messages(tmp_path)


# -- the pages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def many_languages(settings: Any) -> Iterator[None]:
    """As Django's documentation says it is done. The last visitor's language would stay this thread's."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    with translation.override(translation.get_language()):
        yield


def page(client: Client, language: str, url: str, **form: Any) -> str:
    ask = client.post if form else client.get
    return ask(url, form or None, headers={"Accept-Language": language}, follow=True).content.decode()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.usefixtures("bitbucket", "many_languages")
def test_pages_are_in_the_visitors_language(client: Client, language: str) -> None:
    sign_in_page, error_page = page(client, language, LOGIN), page(client, language, CALLBACK)
    forwarding = page(client, language, LOGIN, next="/")
    with translation.override(language):
        reason = phrases.REASONS["state_missing"]
        for shown, texts in (
            (sign_in_page, ["Sign in", "Sign in with %(provider_name)s"]),
            (error_page, [str(reason.title), str(reason.message), "Try again", "If you ask for help, give this code:"]),
            (forwarding, ["One moment", "Taking you to Bitbucket.", "Continue"]),
        ):
            assert f'lang="{language}"' in shown
            for text in texts:
                translated = translation.gettext(text) % {"provider_name": "Bitbucket"}
                assert escape(translated) in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_is_said_in_it(language: str) -> None:
    with translation.override("en"):
        english = {(str(reason.title), str(reason.message)) for reason in phrases.REASONS.values()}
    with translation.override(language):
        theirs = {(str(reason.title), str(reason.message)) for reason in phrases.REASONS.values()}
    assert len(theirs) == len(english) and not theirs & english


@pytest.mark.django_db
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.usefixtures("many_languages")
def test_the_admin_is_in_it(admin_client: Client, language: str) -> None:
    sign_in(JANE)
    url = reverse("admin:bitbucket_auth_bitbucketaccount_changelist")
    listed = page(admin_client, language, url)
    account = User.objects.get(username="jane").bitbucket_accounts.get()
    asked = page(admin_client, language, url, action="forget", _selected_action=account.pk)
    done = page(admin_client, language, url, action="forget", _selected_action=account.pk, confirmed="yes")
    with translation.override(language):
        assert escape(translation.gettext("Renew the stored tokens now")) in listed
        assert escape(translation.gettext("Forget the stored tokens?")) in asked
        told = translation.ngettext(
            "The tokens of %d account were deleted.", "The tokens of %d accounts were deleted.", 1
        )
        assert escape(told % 1) in done


@pytest.mark.parametrize(
    ("language", "words"), [("pt-br", "Iniciar sessão"), ("es-mx", "Iniciar sesión"), ("de-at", "Anmelden")]
)
@pytest.mark.usefixtures("bitbucket", "many_languages")
def test_a_country_without_a_catalogue_of_its_own_has_its_languages(client: Client, language: str, words: str) -> None:
    assert words in page(client, language, LOGIN)


@pytest.mark.usefixtures("bitbucket", "many_languages")
def test_other_languages_have_english(client: Client) -> None:
    assert "Sign in with Bitbucket" in page(client, "fi", LOGIN)
