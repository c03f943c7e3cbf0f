"""One provider's report: what to enter at Bitbucket, what is configured, and what was found. As data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from django.views.decorators.debug import sensitive_variables

from ... import conf, kinds, navigation
from ...exceptions import ConfigurationError
from .. import registration
from ..conformance.cases import Result
from .configured import configured
from .examination import examine
from .findings import Finding, Level, worst
from .patient import Patient

CREDENTIALS = ("CLIENT_ID", "CLIENT_SECRET")
#: Number of a system check, and what it says.
Wrong = tuple[str, str]


@dataclass(slots=True)
class Report:
    """``client``: what a form asks for, where that is known. ``wrong``: settings to be corrected, by their checks."""

    alias: str
    client: registration.Client | None = None
    wrong: list[Wrong] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    conformance: list[Result] = field(default_factory=list)

    @property
    def title(self) -> str:
        client = self.client
        return self.alias if client is None else f"{self.alias} ({client.kind}): {client.base_url}"

    @property
    def level(self) -> Level:
        return "error" if self.wrong else worst(self.findings)

    @property
    def callback_url(self) -> str:
        """Empty where nobody has said where the site is."""
        url = self.client.callback_url if self.client else ""
        return "" if url.startswith(registration.UNKNOWN_SITE) else url

    def patient(self) -> Patient:
        """The provider, to be asked. Its settings have to be fine.

        Raises:
            ConfigurationError: they aren't.
        """
        return Patient(conf.provider_settings(self.alias, unregistered=True), self.callback_url)

    def as_dict(self) -> dict[str, object]:
        """Its members, for JSON."""
        client = self.client
        form = registration.form(client) if client else None
        return {
            "alias": self.alias,
            "kind": client.kind if client else None,
            "base_url": client.base_url if client else None,
            "callback_url": self.callback_url or None,
            "status": self.level,
            "settings": self.settings,
            "register": [
                {"where": step.where, "fields": [{"name": name, "value": value} for name, value in step.fields]}
                for step in (form.steps if form else ())
            ],
            "notes": list(form.notes) if form else [],
            "findings": [
                *(Finding("error", f"bitbucket_auth.{number}", text).as_dict() for number, text in self.wrong),
                *(finding.as_dict() for finding in self.findings),
            ],
            "conformance": [result.as_dict() for result in self.conformance],
        }


def report(alias: str, site: str, *, offline: bool) -> Report:
    """What there is to say of a provider; ``offline`` asks nobody."""
    made = Report(str(alias), wrong=problems(alias))
    if made.wrong:
        return made
    values, made.wrong = read(alias)
    try:
        made.client = client_of(alias, values, site)
    except ConfigurationError as error:
        made.wrong = [*made.wrong, ("E013", str(error))]
    if not (offline or made.wrong):
        patient = made.patient()
        made.settings = configured(patient.configuration)
        made.findings = examine(patient)
    return made


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
    from ...oauth import rsa_keys

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
