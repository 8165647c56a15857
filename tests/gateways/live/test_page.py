"""The live page in a real Chromium before a whole installation: it shows what is decided and complains of nothing."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from infra.tokens import EVERY_ACCOUNT, Scope
from tests.kit import machine
from tests.kit.live import Live

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

SHOWN_WITHIN_MS = 20_000
"""A look a second, and a machine that is busy."""
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
"""What Chromium needs where tests run as root in a small container."""


class Complaints:
    """Everything a browser says that it would not say of a page in order."""

    def __init__(self, page: Page, url: str) -> None:
        self.said: list[str] = []
        self._url = url
        page.on("console", lambda message: self.said.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(url) else self.said.append(request.url))


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A window of the machine's own Chromium (Debian: chromium)."""
    program = machine.program("chromium", "chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield await browser.new_page(viewport={"width": 1440, "height": 1000})
        await browser.close()


async def opened(page: Page, live: Live, token: str) -> Complaints:
    """The page, with this token typed into it."""
    complaints = Complaints(page, live.url)
    await page.goto(f"{live.url}/live")
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Open").click()
    return complaints


async def test_shows_a_placed_order_and_its_book_and_complains_of_nothing(live: Live, page: Page) -> None:
    async with live.trader() as trader:
        complaints = await opened(page, live, live.token(EVERY_ACCOUNT, (Scope.OPERATE, Scope.READ)))
        await expect(page.locator("#state")).to_have_text("live", timeout=SHOWN_WITHIN_MS)
        response, order = await trader.place(quantity="7")
        assert response.status == 201
        rows = page.locator("#events tbody tr").filter(has=page.get_by_title(trader.account_id))
        placed = rows.filter(has_text="OrderPlaced").first
        await expect(placed).to_be_visible(timeout=SHOWN_WITHIN_MS)
        await expect(page.locator("#lanes .name").filter(has_text="orders")).to_be_visible()
        await expect(page.locator("#p50")).to_have_text(re.compile(r"\d"), timeout=SHOWN_WITHIN_MS)
        await expect(page.locator('#readers [data-reader="gateway"] b')).to_have_text("0", timeout=SHOWN_WITHIN_MS)
        await expect(page.locator("#processes li")).to_have_text(["gateway"])

        await placed.get_by_role("button").click()
        booked = page.locator("#orders tbody tr")
        await expect(booked).to_contain_text(["BUY 7 AAPL"], timeout=SHOWN_WITHIN_MS)
        await expect(page.locator("#book-cash")).to_contain_text("100,000.00 USD free")
        await trader.place(quantity="8")
        await expect(booked).to_have_count(2, timeout=SHOWN_WITHIN_MS)  # Told by the stream, not asked for.
    assert order["order_id"]
    assert complaints.said == []


async def test_keeps_the_token_nowhere_but_in_its_memory(live: Live, page: Page) -> None:
    token = live.token(EVERY_ACCOUNT, (Scope.OPERATE, Scope.READ))
    await opened(page, live, token)
    await expect(page.locator("#state")).to_have_text("live", timeout=SHOWN_WITHIN_MS)
    kept = await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.href]")
    assert kept == [0, 0, "", f"{live.url}/live"]
    assert token not in await page.content()
    assert await page.get_by_label("Token", exact=True).input_value() == ""


async def test_says_why_a_token_opens_nothing(live: Live, page: Page) -> None:
    await opened(page, live, live.token("account-of-ann"))
    await expect(page.get_by_role("alert")).to_contain_text("scope", timeout=SHOWN_WITHIN_MS)
    await expect(page.locator("main")).to_be_hidden()
    assert await page.get_by_label("Token", exact=True).is_visible()


async def test_says_when_the_gateway_does_not_answer_and_goes_on_when_it_does(live: Live, page: Page) -> None:
    await opened(page, live, live.token(EVERY_ACCOUNT, (Scope.OPERATE, Scope.READ)))
    await expect(page.locator("#state")).to_have_text("live", timeout=SHOWN_WITHIN_MS)
    live.stop_part("gateway")
    await expect(page.locator("#state")).to_contain_text("does not answer", timeout=SHOWN_WITHIN_MS)
    live.start_part("gateway")
    await expect(page.locator("#state")).to_have_text("live", timeout=SHOWN_WITHIN_MS)
    assert await page.locator("#processes li").all_text_contents() == ["gateway"]
