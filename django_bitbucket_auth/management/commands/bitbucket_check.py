"""``manage.py bitbucket_check``: what to enter at Bitbucket, whether it works, and what to do if it doesn't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_bitbucket_auth import conf
from django_bitbucket_auth.management import conformance, key_file
from django_bitbucket_auth.management.doctor import printing
from django_bitbucket_auth.management.doctor.examination import project_findings
from django_bitbucket_auth.management.doctor.findings import Finding, worst
from django_bitbucket_auth.management.doctor.report import Report, problems, report
from django_bitbucket_auth.oauth import urls

#: Of the JSON: it grows with what is taken away or means something else, not with what is added.
SCHEMA = 1


class Command(BaseCommand):
    """Asks Bitbucket what takes no person, unless it is ``--offline``. Secrets are not among what it says."""

    help = (
        "Print what to enter at Bitbucket, field by field, so that people can sign in; ask Bitbucket whether it works; "
        "and say what is wrong, and what to do."
    )
    # What is wrong with the settings is for this command to say.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("providers", nargs="*", metavar="alias", help="of a provider; default: all")
        parser.add_argument("--site", metavar="URL", help="where your site is, such as https://shop.example.com")
        parser.add_argument("--offline", action="store_true", help="ask nobody: only print what to enter")
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
        parser.add_argument(
            "--conformance",
            action="store_true",
            help="compare this Bitbucket with what the app expects of one, by requests that change nothing",
        )
        parser.add_argument("--account", metavar="PK", help="with --conformance: ask as this Bitbucket account, too")
        parser.add_argument("--user", metavar="NAME", help="the same, by the name of its user")
        parser.add_argument(
            "--refresh", action="store_true", help="with --account or --user: renew the stored token, and keep the new"
        )
        parser.add_argument(
            "--new-key",
            metavar="PATH",
            help="make a pair of RSA keys for OAuth 1.0a, and nothing else; the private one goes into this new file",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["new_key"] is not None:
            if any(options[name] for name in ("providers", "json", "conformance")) or options["site"] is not None:
                raise CommandError("--new-key stands alone: a key is a provider's once its settings name it.")
            self._make_key(Path(options["new_key"]).absolute())
            return
        _refuse_contradictions(options)
        site = "" if options["site"] is None else address(options["site"])
        reports = [self._report(alias, site, options) for alias in _chosen(options["providers"])]
        project = [] if options["offline"] or options["conformance"] else _unsaid(project_findings(), reports)
        if options["json"]:
            self._print_json(reports, project)
        elif project:
            self._print_findings("The project", project)
        broken = [made.alias for made in reports if made.level == "error"]
        if worst(project) == "error":
            broken.append("the project")
        if broken:
            what = "Settings to be corrected" if options["offline"] else "Something is wrong"
            raise CommandError(f"{what}, as said above: {', '.join(broken)}.")

    def _report(self, alias: str, site: str, options: dict[str, Any]) -> Report:
        asks = options["conformance"]
        made = report(alias, site, offline=options["offline"] or asks)
        if asks and not made.wrong:
            whose = {name: options[name] for name in ("account", "user", "refresh")}
            try:
                made.conformance = conformance.compare(made.patient(), **whose)
            except conformance.NotAsked as reason:
                todo = "Run this without --conformance, which says more about it."
                made.findings = [Finding("error", "not_asked", str(reason), todo)]
        if not options["json"]:
            self._print(made, asks=asks)
        return made

    def _print(self, made: Report, *, asks: bool) -> None:
        """What there is to say of a provider, as soon as it is known."""
        said = [self.style.ERROR(line) for line in printing.wrong(made)]
        shown = list(conformance.lines(made.patient(), made.conformance)) if made.conformance else []
        lines = [] if asks else list(printing.lines(made))
        for part in ([self.style.MIGRATE_HEADING(made.title)], lines, shown, said):
            if part:
                self.stdout.write("\n".join([*part, "", ""]))
        if made.findings:
            self._print_findings("Found", made.findings)

    def _print_findings(self, title: str, found: list[Finding]) -> None:
        styles = {"error": self.style.ERROR, "warning": self.style.WARNING, "ok": self.style.SUCCESS}
        told = [styles.get(level, str)(text) for level, text in printing.findings(found)]
        self.stdout.write("\n".join([f"{title}:", "", *told, "", ""]))

    def _print_json(self, reports: list[Report], project: list[Finding]) -> None:
        members = {
            "version": SCHEMA,
            "status": worst([*(Finding(made.level, "", "") for made in reports), *project]),
            "providers": [made.as_dict() for made in reports],
            "project": {"findings": [finding.as_dict() for finding in project]},
        }
        self.stdout.write(json.dumps(members, indent=2))

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


def _refuse_contradictions(options: dict[str, Any]) -> None:
    if options["offline"] and options["conformance"]:
        raise CommandError("--conformance asks Bitbucket, and --offline asks nobody.")
    if (options["account"] or options["user"] or options["refresh"]) and not options["conformance"]:
        raise CommandError("--account, --user and --refresh are for --conformance.")
    if options["account"] and options["user"]:
        raise CommandError("Name an account or a user, not both.")
    if options["refresh"] and not (options["account"] or options["user"]):
        raise CommandError("--refresh needs --account or --user: whose token?")


def _chosen(named: list[str]) -> tuple[str, ...]:
    """The aliases to look at.

    Raises:
        CommandError: one of those that are named isn't configured.
    """
    known = conf.aliases()
    for alias in named:
        if alias not in known:
            raise CommandError(" ".join(text for _, text in problems(alias)))
    # Where there are none, something is wrong with the setting as a whole.
    return tuple(dict.fromkeys(named)) or known or (conf.DEFAULT_ALIAS,)


def _unsaid(project: list[Finding], reports: list[Report]) -> list[Finding]:
    """The project's findings without those that were said of a provider."""
    said = {(f"bitbucket_auth.{number}", text) for made in reports for number, text in made.wrong}
    return [finding for finding in project if (finding.code, f"{finding.seen} {finding.next}") not in said]


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
