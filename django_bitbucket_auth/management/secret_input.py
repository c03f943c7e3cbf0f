"""Secrets for commands: from the environment, standard input or a prompt. Never from the command line.

What stands on a command line is read by everybody on the machine (``ps``), and kept in the shell's history.
"""

from __future__ import annotations

import getpass
import sys

from django.core.management.base import CommandError
from django.views.decorators.debug import sensitive_variables
from environ.fileaware_mapping import FileAwareMapping

from ..conf import environment_variable


@sensitive_variables()
def read(alias: str, name: str, *, stdin: bool, optional: bool = False) -> str:
    """The secret ``name`` for a provider: ``BITBUCKET_<NAME>`` (or ``…_FILE``), else a line.

    ``stdin`` reads the line from standard input; else a person at a terminal is asked for it.

    Raises:
        CommandError: it is nowhere, and there is nobody to ask.
    """
    variable = environment_variable(alias, name.upper())
    try:
        value = str(FileAwareMapping(cache=False).get(variable, ""))
    except OSError as error:
        raise CommandError(f"The file that {variable}_FILE names can't be read: {error.strerror}.") from None
    if value or optional:
        return value.strip("\r\n")
    return line(f"{name.replace('_', ' ').capitalize()}: ", stdin=stdin, otherwise=variable)


@sensitive_variables()
def line(prompt: str, *, stdin: bool, otherwise: str = "") -> str:
    """A line from standard input, or from a person at a terminal, who doesn't see what is typed.

    Raises:
        CommandError: there is none. ``otherwise`` names the variable that would have done.
    """
    what = prompt.rstrip(": ")
    if stdin:
        value = sys.stdin.readline().strip("\r\n")
    elif sys.stdin.isatty():
        value = getpass.getpass(prompt)
    else:
        hint = f"set {otherwise}, " if otherwise else ""
        raise CommandError(f"Nobody is there to be asked for “{what}”: {hint}pass --stdin, or use a terminal.")
    if not value:
        raise CommandError(f"“{what}” is empty.")
    return value
