"""Who was found in a table, before anything is decided: whether two rows are one person, all of them together tell."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .identities import Identity


@dataclass(frozen=True, slots=True)
class Found:
    """A row whose person is known. ``user`` is the user's primary key as text."""

    row: int
    user: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class Relatives:
    """The rows that share an id: how many users they name, whether their ids contradict, and the first of them."""

    users: int
    contradict: bool
    first: int


class Crowd:
    """An index of the rows, in a file of its own that nobody else sees and that is gone at the end.

    So the project's database isn't written to by a dry run, and memory doesn't grow with the number of rows. There is
    no token in it.
    """

    def __init__(self) -> None:
        # Without a name SQLite makes a temporary file, once it doesn't fit into its cache.
        self._file = sqlite3.connect("")
        self._file.executescript(
            "CREATE TABLE person (number INTEGER PRIMARY KEY, user TEXT, uid TEXT, account_id TEXT, "
            "username TEXT, display_name TEXT, email TEXT);"
            "CREATE INDEX by_uid ON person (uid);"
            "CREATE INDEX by_account_id ON person (account_id);"
            "CREATE TABLE holder (number INTEGER PRIMARY KEY);"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, found: Found) -> None:
        """Another row."""
        who = found.identity
        values = (found.row, found.user, who.uid, who.account_id, who.username, who.display_name, who.email)
        self._file.execute("INSERT INTO person VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def complete(self) -> None:
        """Tell each row the id that it lacks, and another row of the same person has."""
        for lacking, known in (("account_id", "uid"), ("uid", "account_id")):
            self._file.execute(
                f"UPDATE person SET {lacking} = (SELECT max(other.{lacking}) FROM person AS other "  # noqa: S608
                f"WHERE other.{known} = person.{known}) WHERE {lacking} IS NULL"
            )

    def __iter__(self) -> Iterator[Found]:
        for number, user, *columns in self._file.execute("SELECT * FROM person ORDER BY number"):
            yield Found(number, user, Identity(*columns))

    def relatives(self, identity: Identity) -> Relatives:
        """The rows of one person."""
        users, uids, account_ids, first = self._file.execute(
            "SELECT count(DISTINCT user), count(DISTINCT uid), count(DISTINCT account_id), min(number) "
            "FROM person WHERE uid = ? OR account_id = ?",
            (identity.uid, identity.account_id),
        ).fetchone()
        return Relatives(users, uids > 1 or account_ids > 1, first)

    def takes_token(self, first: int) -> bool:
        """Whether the person whose first row this is had no token so far; from now on it has one."""
        return self._file.execute("INSERT OR IGNORE INTO holder VALUES (?)", (first,)).rowcount == 1
