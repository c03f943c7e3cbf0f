"""``manage.py bitbucket_check``: what an administrator of Bitbucket enters, so that people can sign in here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.views.decorators.debug import sensitive_variables

from django_bitbucket_auth import conf, kinds, navigation
from django_bitbucket_auth.exceptions import ConfigurationError
from django_bitbucket_auth.management import key_file, registration
from django_bitbucket_auth.oauth import urls

CREDENTIALS = ("CLIENT_ID", "CLIENT_SECRET")
#: Number of a system check, and what it says.
Wrong = tuple[str, str]


class Command(BaseCommand):
    """Asks nobody: what it says comes from the settings. Secrets are not among it."""

    help = "Print what to enter at Bitbucket, field by field, so that people can sign in; and what is wrong here."
    # What is wrong with the settings is for this command to say.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("providers", nargs="*", metavar="alias", help="of a provider; default: all")
        parser.add_argument("--site", metavar="URL", help="where your site is, such as https://shop.example.com")
        parser.add_argument(
            "--new-key",
            metavar="PATH",
            help="make a pair of RSA keys for OAuth 1.0a, and nothing else; the private one goes into this new file",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["new_key"] is not None:
            if options["providers"] or options["site"] is not None:
                raise CommandError("--new-key stands alone: a key is a provider's once its settings name it.")
            self._make_key(Path(options["new_key"]).absolute())
            return
        site = "" if options["site"] is None else address(options["site"])
        known = conf.aliases()
        for alias in options["providers"]:
            if alias not in known:
                raise CommandError(" ".join(text for _, text in problems(alias)))
        # Where there are none, something is wrong with the setting as a whole.
        names = tuple(dict.fromkeys(options["providers"])) or known or (conf.DEFAULT_ALIAS,)
        if wrong := [str(alias) for alias in names if not self._show(alias, site)]:
            raise CommandError(f"Settings to be corrected, as said above: {', '.join(wrong)}.")

    def _show(self, alias: str, site: str) -> bool:
        """Print what there is to say of a provider. Returns whether its settings are fine."""
        title, lines, wrong = str(alias), list[str](), problems(alias)
        if not wrong:
            values, wrong = read(alias)
            try:
                client = client_of(alias, values, site)
            except ConfigurationError as error:
                wrong = [*wrong, ("E013", str(error))]
            else:
                title = f"{alias} ({client.kind}): {client.base_url}"
                lines = list(registration.lines(registration.form(client)))
        said = [self.style.ERROR(f"(bitbucket_auth.{number}) {text}") for number, text in wrong]
        for part in ([self.style.MIGRATE_HEADING(title)], lines, said):
            if part:
                self.stdout.write("\n".join([*part, "", ""]))
        return not wrong

    def _make_key(self, path: Path) -> None:
        public = key_file.write_new_key(path)
        self.stdout.write(
            f"The private key is in {path}, which nobody but you can read. Let the user whom the site runs as read it, "
            "and nobody else.\n\n"
            "In the settings of the provider:\n\n"
            f'    "RSA_KEY": {json.dumps(str(path))},\n\n'
            "In the application link, as its public key, all of this:\n\n"
            f"{public}\n"
            "What else to enter there: manage.py bitbucket_check"
        )


def address(site: str) -> str:
    """A site's address as browsers write it: its host in lower case and IDNA, without its scheme's own port.

    Raises:
        CommandError: it is none. It isn't shown: there may be a password in it.
    """
    if urls.problem(site, allow_http=True) or urls.split(site).path.strip("/"):
        raise CommandError(
            "--site isn't the address of a site: https:// and the host, with a port if it has one, and no path, such "
            "as https://shop.example.com"
        )
    scheme, host, port = urls.origin(site)
    own = urls.origin(f"{scheme}://host")[2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{'' if port == own else f':{port}'}"


def problems(alias: str) -> list[Wrong]:
    """What is wrong with a provider's settings, as the system checks say it."""
    return [(problem.number, f"{problem.message} {problem.hint}") for problem in conf.problems(alias)]


@sensitive_variables()
def read(alias: str) -> tuple[dict[str, str], list[Wrong]]:
    """The credentials and the key of a provider, by their settings' names, and what is wrong with those left out."""
    readers: dict[str, tuple[str, Callable[[], str]]] = {
        "CLIENT_ID": ("E011", partial(conf.credential, alias, "CLIENT_ID")),
        "CLIENT_SECRET": ("E011", partial(conf.credential, alias, "CLIENT_SECRET")),
        "RSA_KEY": ("E020", partial(conf.rsa_key, alias)),
    }
    values, wrong = {}, []
    for name, (number, reader) in readers.items():
        try:
            values[name] = reader()
        except ConfigurationError as error:
            wrong.append((number, str(error)))
    return values, wrong


@sensitive_variables("values")
def client_of(alias: str, values: Mapping[str, str], site: str) -> registration.Client:
    """The OAuth client of a provider with whose settings nothing is wrong; ``values`` as ``read`` has them.

    Raises:
        ConfigurationError: the app's URLs aren't included, so there is no callback.
    """
    from django_bitbucket_auth.oauth import rsa_keys

    keys = conf.given(alias)
    keys = {"KIND": "cloud", **kinds.defaults(keys), **keys}
    signs_requests = kinds.provider_class(keys["KIND"]).signs_requests
    callback_url = keys.get("CALLBACK_URL")
    if not callback_url:
        callback_url = f"{site or registration.UNKNOWN_SITE}{navigation.url_of('callback', alias)}"
    return registration.Client(
        kind=keys["KIND"],
        base_url=keys.get("BASE_URL", kinds.CLOUD_URL),
        callback_url=callback_url,
        site=site,
        scopes=tuple(keys.get("SCOPES", ())),
        allow_http=keys.get("ALLOW_HTTP", False),
        signs_requests=signs_requests,
        signature_method=keys.get("SIGNATURE_METHOD", ""),
        consumer_key=values.get("CLIENT_ID", "") if signs_requests else "",
        public_key=rsa_keys.public_key(values["RSA_KEY"]) if values.get("RSA_KEY") else "",
        variables={name: conf.environment_variable(alias, name) for name in CREDENTIALS},
        missing=tuple(
            conf.environment_variable(alias, name) for name in conf.needed_credentials(alias) if values.get(name) == ""
        ),
    )
