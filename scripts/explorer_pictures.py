"""The pictures of docs/explore.md: the page of `odemom explore`, in a browser without a window.

python -m scripts.explorer_pictures [--out docs/images]
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image

from scripts.browser import browser, missing, serving

LEVELS = 19
DESK, PHONE = (1360, 900), (360, 780)
# Name, size, light or dark, the question, what is scrolled to the top.
PICTURES = (
    ("explore-desk", DESK, "light", "#eps=1/2&D=-3/4,0;0,1/2", None),
    ("explore-desk-dark", DESK, "dark", "#eps=2&D=-3/4,1;0,-3/4", None),
    ("explore-phone", PHONE, "light", "#eps=1/2&D=-3/4,0;0,1/2", None),
    ("explore-phone-dark", PHONE, "dark", "#eps=1/2&D=-1,0;0,-1", "#paths"),
)


def picture(chromium: Any, url: str, size: tuple[int, int], scheme: str, top: str | None) -> bytes:
    """The page as a visitor sees it; at a desk the whole page."""
    visitor = chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        device_scale_factor=2 if size == PHONE else 1,
    )
    page = visitor.new_page()
    page.goto(url)
    page.wait_for_selector("#verdict:not(.waiting)")
    page.wait_for_function("() => settled()")
    if top is not None:
        page.evaluate(
            "id => scrollBy(0, document.querySelector(id).getBoundingClientRect().y - 130)", top
        )
    content = page.screenshot(full_page=size == DESK)
    visitor.close()
    return content


def small(content: bytes) -> bytes:
    """The picture with twenty levels a channel, which nobody sees and which pack better."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    levels = [round(level / 255 * LEVELS) * 255 // LEVELS for level in range(256)]
    picture = picture.point(3 * levels)
    written = io.BytesIO()
    picture.save(written, "png", optimize=True)
    return written.getvalue()


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    if missing():
        parser.exit(2, f"{missing()}\n")
    with browser() as chromium, serving() as server:
        for name, size, scheme, question, top in PICTURES:
            content = small(picture(chromium, server.url + question, size, scheme, top))
            (options.out / f"{name}.png").write_bytes(content)
            print(f"{name}.png: {len(content) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
