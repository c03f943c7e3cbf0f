"""Commands in processes of their own, as hosts run them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

from .measuring import Pace, Steps


def together(work: Callable[[int], Steps], workers: int, most: int) -> list[Steps]:
    """What ``work(most)`` gives in so many processes that begin at the same time."""
    context = get_context("spawn")
    meeting = context.Barrier(workers, timeout=60)
    with context.Pool(workers, _begin, (meeting,)) as pool:
        found = [pool.apply_async(work, (most,)) for _ in range(workers)]
        return [one.get() for one in found]


def _begin(meeting: Barrier) -> None:
    import django

    django.setup()
    meeting.wait()


def renew(most: int) -> Steps:
    """``bitbucket_refresh``, which may renew so many."""
    from django.core.management import call_command

    from django_bitbucket_auth.signals import token_refreshed

    pace = Pace(most)

    def step(**arguments: Any) -> None:
        pace.step()

    token_refreshed.connect(step)
    call_command("bitbucket_refresh", within="1h", stdout=io.StringIO())
    return pace.result()


def rotate(most: int) -> Steps:
    """``bitbucket_rotate_keys``, for so many."""
    from django.core.management import call_command

    pace = Pace(most)
    with _each_update(pace):
        call_command("bitbucket_rotate_keys", stdout=io.StringIO())
    return pace.result()


@contextmanager
def _each_update(pace: Pace) -> Iterator[None]:
    from django.db import connection

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = run(sql, params, many, context)
        if sql.startswith("UPDATE"):
            pace.step()
        return result

    with connection.execute_wrapper(execute):
        yield
