"""Makes the README's picture with a real browser: `python -m tests.picture`.

Starts the demo, runs the attack, and photographs both sides when it is over.
"""

import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.dashboards.conftest import find_chromium, start_demo

PICTURE = Path(__file__).parents[1] / "dashboards" / "screenshot.png"
MAX_BYTES = 400_000
SETTLE_WALL_MS = 6_000  # at ten times real time: a minute after the last command
LIMIT_MS = 60_000


def main() -> int:
    """Make the picture; 1 if no browser is found or the picture is too big for a README."""
    chromium = find_chromium()
    if chromium is None:
        print("no chromium was found on this machine; install it to make the picture", file=sys.stderr)
        return 1
    with start_demo("--speed", "10") as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(demo.url)
        expect(page.locator("#badge")).to_contain_text("LIVE", timeout=LIMIT_MS)
        page.click("#attack")
        expect(page.locator("#left-attacker-sent")).to_have_text("8", timeout=LIMIT_MS)
        page.wait_for_timeout(SETTLE_WALL_MS)
        page.screenshot(path=PICTURE)
        browser.close()
    size = PICTURE.stat().st_size
    print(f"dashboards/{PICTURE.name}: {size:,} bytes")
    if size > MAX_BYTES:
        print(f"the picture is bigger than {MAX_BYTES:,} bytes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
