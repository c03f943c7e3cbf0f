"""Renewal at scale: every stored token, by two hosts at once."""

from __future__ import annotations

from collections.abc import Iterator

from django_bitbucket_auth.models import BitbucketToken

from . import stock, workers
from .measuring import Row, Setting, Steps, mean, must

HOSTS = 2


def run(setting: Setting) -> Iterator[Row]:
    """With a tenth of the rows, then with all of them: neither memory nor time for a token may grow."""
    few, many = max(HOSTS * 50, setting.rows // 10), setting.rows
    before, _ = _renewed(setting, few)
    after, seconds = _renewed(setting, many)
    yield Row(f"tokens renewed by {HOSTS} hosts at once, of {many}; renewed twice", f"{many}; 0", "all; 0")
    yield Row("tokens renewed in a second", f"{many / seconds:.0f}")
    growth = mean([one.last for one in after]).over(mean([one.first for one in after]))
    yield Row("time, and CPU, for a token, in the last tenth over the first", growth, "1")
    growth = mean([one.middle for one in after]).over(mean([one.middle for one in before]))
    yield Row(f"time, and CPU, for a token, of {many} over of {few}", growth, "1")
    yield Row(f"peak memory of a host, at a tenth and at the end of {many}", _peaks(after), "the same")
    yield Row(f"peak memory of a host, at a tenth and at the end of {few}", _peaks(before))


def _renewed(setting: Setting, count: int) -> tuple[list[Steps], float]:
    stock.fill(count)
    bitbucket = setting.bitbucket
    bitbucket.take_used()
    asked = bitbucket.requests_to("token")
    steps = workers.together(workers.renew, HOSTS, count)
    seconds = max(one.seconds for one in steps)
    must("tokens renewed", sum(one.done for one in steps), count)
    must("requests for a token", bitbucket.requests_to("token") - asked, count)
    must("tokens that Bitbucket renewed, and the most times for one", bitbucket.take_used(), (count, 1))
    must("rows with one new pair and no lease", BitbucketToken.objects.filter(version=2, lease="").count(), count)
    return steps, seconds


def _peaks(steps: list[Steps]) -> str:
    largest = max(steps, key=lambda one: one.peak)
    return f"{largest.early_peak:.1f}, {largest.peak:.1f} MB"
