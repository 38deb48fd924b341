"""The page in a real browser: from the quiet start over the attack to a dead server."""

import os
import signal
import time
import urllib.parse

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.dashboards.conftest import start_demo

LIMIT_MS = 20_000


@pytest.fixture
def browser(chromium):
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser):
    """Opens a demo's page; what its console complained about is in `page.complaints`."""

    def open_at(demo):
        page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.set_default_timeout(LIMIT_MS)
        page.complaints = []
        page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(demo.url) else page.complaints.append(asked.url))
        page.goto(demo.url)
        expect(page.locator("#badge")).to_contain_text("LIVE", timeout=LIMIT_MS)
        return page

    return open_at


def megawatts(page, side):
    return float(page.inner_text(f"#{side}-served"))


def wait_for_load(page, side, condition):
    page.wait_for_function(f"(() => {{ const mw = Number(document.getElementById('{side}-served').textContent);"
                           f" return {condition}; }})()")  # fmt: skip


@pytest.mark.browser
def test_the_attack_empties_one_side_and_the_other_stands(open_page):
    with start_demo("--speed", "1") as demo:
        page = open_page(demo)
        wait_for_load(page, "left", "mw > 30")
        assert abs(megawatts(page, "left") - megawatts(page, "right")) < 0.2
        expect(page.locator("#mirror")).to_have_text("both sides identical, bit for bit")
        assert page.locator(".p1").count() == 0
        assert page.get_attribute("html", "lang") == "en"

        page.click("#attack")
        page.click("[data-speed='10']")
        wait_for_load(page, "left", "mw < 1")
        assert megawatts(page, "right") > 25
        expect(page.locator("#attack")).to_be_disabled()

        denial = page.locator("#verdict-rows tr.deny", has_text="F6.open").first
        expect(denial).to_contain_text("hospital")
        expect(denial.locator(".rule")).to_contain_text("security.psl:")
        expect(page.locator("#left-denied")).to_contain_text("0 refused")
        expect(page.locator("#left-alarm")).to_contain_text("Envelope violated")
        expect(page.locator("#right-alarm")).to_have_text("Envelope kept")
        expect(page.locator("[id='left-F6']")).to_have_class("breaker open")
        expect(page.locator("[id='right-F6']")).to_have_class("breaker closed")
        expect(page.locator("[id='left-F6.P']")).to_have_text("0")
        expect(page.locator("#left-attacker-granted")).to_have_text("8")
        page.wait_for_function("document.querySelector('#left-trend .js-plotly-plot').data[1].y.some((mw) => mw < 1)")
        assert page.complaints == []

        demo.process.kill()
        begun = time.monotonic()
        expect(page.locator("#badge")).to_contain_text("STALE", timeout=3000)
        assert time.monotonic() - begun < 3


@pytest.mark.browser
def test_freeze_step_speed_and_restart_by_keys(open_page):
    with start_demo("--wire", "memory") as demo:
        page = open_page(demo)
        page.keyboard.press("Space")
        expect(page.locator("#badge")).to_have_text("FROZEN")
        page.wait_for_timeout(400)
        standing = page.inner_text("#run-time")
        page.wait_for_timeout(800)
        assert page.inner_text("#run-time") == standing
        expect(page.locator("#freeze")).to_have_text("Run")

        before_s = float(standing.split()[2])
        page.keyboard.press("s")
        expect(page.locator("#run-time")).to_have_text(f"t = {before_s + 1:.1f} s")
        page.keyboard.press("]")
        expect(page.locator("[data-speed='10']")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Space")
        expect(page.locator("#badge")).to_contain_text("LIVE")
        wait_past = "Number(document.getElementById('run-time').textContent.split(' ')[2])"
        page.wait_for_function(f"{wait_past} > 15")
        page.keyboard.press("r")
        page.wait_for_function(f"{wait_past} < 15")

        page.keyboard.press("?")
        expect(page.locator("#keys-dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#keys-dialog")).to_be_hidden()
        assert page.complaints == []

        os.kill(demo.worker_pid(), signal.SIGKILL)
        expect(page.locator("#badge")).to_contain_text("STALE", timeout=3000)


@pytest.mark.browser
def test_the_page_fits_its_width_and_names_what_it_shows(open_page):
    with start_demo("--wire", "memory") as demo:
        page = open_page(demo)
        for width, height in ((1024, 768), (1440, 900), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        for side in ("left", "right"):
            assert page.locator(f"#{side}-diagram svg[role=img] title").first.text_content()
        nameless = page.eval_on_selector_all(
            "button", "all => all.filter(one => !(one.getAttribute('aria-label') || one.textContent.trim())).length"
        )
        assert nameless == 0
        assert page.complaints == []


@pytest.mark.browser
def test_another_site_cannot_steer_the_session(browser):
    with start_demo("--wire", "memory") as demo:
        elsewhere = browser.new_page()
        elsewhere.goto("data:text/html,<title>elsewhere</title>")
        feed = f"ws://{urllib.parse.urlsplit(demo.url).netloc}/frames"
        answer = elsewhere.evaluate(
            "url => new Promise(done => { const feed = new WebSocket(url);"
            " feed.onopen = () => done('open'); feed.onclose = () => done('refused'); })",
            feed,
        )
        assert answer == "refused"
