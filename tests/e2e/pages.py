"""What tests do on pages of the dashboard."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.stack import Stack

EMAIL = "admin@example.com"
BADGE_FITS = """(badge, text) => {
    badge.hidden = false; badge.textContent = text;
    const brand = document.querySelector(".mobile-bar .brand").getBoundingClientRect();
    return badge.scrollWidth <= badge.clientWidth + 1 && badge.getBoundingClientRect().left >= brand.right;
}"""
NARROW_PAGES = (
    *("", "runs", "errors", "workflows", "workers", "tokens", "trigger", "crons", "crons/new"),
    *("scheduled", "scheduled/new", "events", "events/push", "filters", "filters/new"),
    *(
        "logs",
        "bulk-actions",
        "bulk-actions/new",
        "members",
        "invites/new",
        "settings",
        "settings/leave",
        "settings/delete",
    ),
)


def sign_in(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.server_url}/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(stack.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Now", level=1)).to_be_visible()


def wait_until_live(page: Page) -> None:
    expect(page.locator("#live-badge")).to_have_text("Live")


def trigger(page: Page, stack: Stack, workflow: str) -> None:
    page.goto(f"{stack.server_url}/t/default/trigger")
    chooser = page.get_by_label("Workflow")
    expect(chooser.locator("option", has_text=workflow)).to_have_count(1)
    chooser.select_option(label=workflow)
    expect(page.get_by_role("heading", name=f"Input of {workflow}")).to_be_visible()


def push_event(page: Page, stack: Stack, key: str, scope: str, payload: str) -> None:
    page.goto(f"{stack.server_url}/t/default/events/push")
    page.get_by_label("Key").fill(key)
    page.get_by_label("Scope").fill(scope)
    page.get_by_label("Payload, a JSON object").fill(payload)
    page.get_by_role("button", name="Push event").click()
    expect(page.locator("#main").get_by_role("heading", level=1)).to_contain_text(key)
    page.close()


def fill_in_greet(page: Page, heading: str) -> None:
    chooser = page.get_by_label("Workflow")
    expect(chooser.locator("option", has_text="greet")).to_have_count(1)
    chooser.select_option(label="greet")
    expect(page.get_by_role("heading", name=f"{heading} greet")).to_be_visible()
    page.get_by_label("name", exact=False).last.fill("Ada")


def visit_on_a_phone(page: Page, stack: Stack, *, width: int) -> None:
    """Look at every list: nothing is wider than the screen, or lies over something else."""
    base = f"{stack.server_url}/t/default"
    for path in NARROW_PAGES:
        page.goto(f"{base}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(f"{base}/workflows")
    page.get_by_role("link", name="order", exact=True).click()
    page.wait_for_url("**/workflows/*")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "a workflow"
    page.goto(f"{base}/runs")
    for text in ("Live", "Connecting, checking every 5 s", "Updates paused"):
        assert page.locator("#live-badge").evaluate(BADGE_FITS, text), text
    # A list that fetches itself again does not dim its buttons.
    page.locator("#main").evaluate("e => e.classList.add('htmx-request')")
    button = page.locator("#main .button").first
    assert button.evaluate("e => getComputedStyle(e).opacity") == "1"
