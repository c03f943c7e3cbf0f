"""Rotation of keys at scale: every stored token encrypted anew."""

from __future__ import annotations

from collections.abc import Iterator

from django_bitbucket_auth import crypto
from django_bitbucket_auth.models import BitbucketToken

from . import stock, tokens, workers
from .measuring import Row, Setting, must


def run(setting: Setting) -> Iterator[Row]:
    """Memory must be bounded, and no row slower than another."""
    count = setting.rows
    stock.fill(count)
    (steps,) = workers.together(workers.rotate, 1, count)
    rows = BitbucketToken.objects.all()
    must("rows that were written", steps.done, count)
    must("rows of the newest key", rows.filter(sealed__startswith=crypto.newest(), version=1).count(), count)
    token = rows.latest("pk").reveal()
    must("the last row opens", token is not None and token.refresh_token, tokens.refresh_token(count - 1))
    yield Row("rows encrypted anew in a second", f"{count / steps.seconds:.0f}")
    yield Row("time, and CPU, for a row, in the last tenth over the first", steps.last.over(steps.first), "1")
    yield Row(
        f"peak memory, at a tenth and at the end of {count} rows",
        f"{steps.early_peak:.1f}, {steps.peak:.1f} MB",
        "the same",
    )
