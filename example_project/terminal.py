"""Sentences for the person at the terminal, in what its encoding can show."""

import sys

PLAIN = {"✓": "ok:", "✗": "failed:", "→": "->", "“": '"', "”": '"', "…": "..."}


def say(text: str = "") -> None:
    """Print a line at once."""
    print(printable(text, sys.stdout.encoding or "ascii"), flush=True)


def printable(text: str, encoding: str) -> str:
    """The text itself, or the nearest that the encoding has."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for fancy, plain in PLAIN.items():
            text = text.replace(fancy, plain)
    return text.encode(encoding, "replace").decode(encoding)
