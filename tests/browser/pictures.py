"""Pictures of pages, small enough to be kept with the documentation."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from browser.chromium import Browser
from PIL import Image

#: Widths and least heights, in CSS pixels, and how many of the picture's make one: a phone's screen is a fine one.
PHONE, DESKTOP = (360, 640, 1.5), (1280, 720, 1.0)
SIZES = (PHONE, DESKTOP)
#: Few enough to make small files, and as many as it takes for each colour of the pages to stay what it is.
COLOURS = 128


def set_up(browser: Browser, width: int, height: int, scale: float) -> None:
    """A window of that size, in light colours, with nothing that moves."""
    browser.command(
        "Emulation.setEmulatedMedia",
        features=[
            {"name": "prefers-color-scheme", "value": "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ],
    )
    browser.command(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=scale,
        mobile=width == PHONE[0],
    )


def take(browser: Browser, name: str, folder: Path) -> list[Path]:
    """The page as it is, on a phone and on a desktop, to its end. Returns the pictures."""
    taken = []
    for width, height, scale in SIZES:
        set_up(browser, width, height, scale)
        shown = int(browser.run("return document.documentElement.scrollHeight"))
        set_up(browser, width, max(height, shown), scale)
        browser.run("document.activeElement.blur()")
        assert browser.run("return document.documentElement.scrollWidth") <= width, name
        taken.append(folder / f"{name}-{width}.png")
        _small(browser.driver.get_screenshot_as_png()).save(taken[-1], optimize=True)
    return taken


def _small(png: bytes) -> Image.Image:
    with Image.open(BytesIO(png)) as picture:
        return picture.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
