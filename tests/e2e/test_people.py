"""People and access in a browser: from making a tenant to being removed from it."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import MILLISECONDS, Account, open_browser, open_page
from tests.e2e.pages import sign_in, wait_until_live
from tests.e2e.stack import Stack

ADDRESS = "newcomer@example.org"
PASSWORD = "quiet-harbour-42"

expect.set_options(timeout=MILLISECONDS)


def make_tenant(page: Page) -> None:
    page.locator("details.tenant > summary").click()
    page.get_by_role("link", name="New tenant").click()
    page.get_by_label("Name").fill("Harbour Works")
    page.get_by_role("button", name="Create tenant").click()
    expect(page.get_by_role("heading", name="Now", level=1)).to_be_visible()
    expect(page.locator("details.tenant > summary")).to_contain_text("Harbour Works")


def invite(page: Page) -> str:
    """Return the link that is to be handed over: this installation sends no mail."""
    page.get_by_role("link", name="Members").click()
    page.get_by_role("link", name="Invite…").click()
    page.get_by_label("E-mail address").fill(ADDRESS)
    page.get_by_label("Role").select_option(label="Member")
    page.get_by_role("button", name="Create invite").click()
    return page.get_by_label("Link of the invite").input_value()


def register_by_link(browser: Browser, account: Account, link: str) -> Page:
    page = open_page(browser, account)
    page.goto(link)
    expect(page.get_by_role("heading", name="Join Harbour Works")).to_be_visible()
    page.get_by_role("link", name="Create an account").click()
    expect(page.get_by_label("E-mail address")).to_have_value(ADDRESS)
    page.get_by_label("Name").fill("New Comer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account and join").click()
    expect(page.get_by_text("Welcome to Harbour Works.")).to_be_visible()
    return page


def test_the_invited_join_by_their_link_and_are_sent_away_when_removed(stack: Stack) -> None:
    # A refused fragment is written to the console by the browser itself, so only the owner's is checked.
    owners, guests = Account(), Account()
    with open_browser() as browser:
        page = open_page(browser, owners)
        sign_in(page, stack)
        make_tenant(page)
        link = invite(page)
        assert link.startswith(f"{stack.server_url}/invites/")
        page.get_by_role("link", name="To the members").click()
        expect(page.get_by_label("Open invites")).to_contain_text(ADDRESS)
        wait_until_live(page)
        page.evaluate("window.isSamePage = true")

        guest = register_by_link(browser, guests, link)
        wait_until_live(guest)
        expect(guest.get_by_role("link", name="Members")).to_have_count(0)

        row = page.get_by_role("row").filter(has_text=ADDRESS)
        expect(row.get_by_role("link", name="Change…")).to_be_visible()
        expect(page.get_by_label("Open invites")).to_have_count(0)
        assert page.evaluate("window.isSamePage") is True

        row.get_by_role("link", name="Change…").click()
        page.get_by_label("Role").select_option(label="Viewer")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text(f"{ADDRESS} is viewer of this tenant now.")).to_be_visible()

        row.get_by_role("link", name="Change…").click()
        page.get_by_role("link", name="Remove…").click()
        page.get_by_role("button", name="Remove member").click()
        expect(page.get_by_text(f"{ADDRESS} is no longer a member.")).to_be_visible()

        expect(guest.get_by_role("heading", name="No tenant yet")).to_be_visible()
        expect(guest.get_by_text("you are no longer a member")).to_be_visible()
        guest.goto(link)
        expect(guest.get_by_text("This invite is not open")).to_be_visible()
    assert owners.complaints == []
    assert owners.foreign(stack.server_url) == guests.foreign(stack.server_url) == []
