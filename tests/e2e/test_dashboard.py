"""The dashboard as its users meet it: a browser, a web process, an engine and an SDK worker."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.e2e.browser import MILLISECONDS, Account, open_browser, open_page
from tests.e2e.pages import (
    EMAIL,
    fill_in_greet,
    push_event,
    sign_in,
    trigger,
    visit_on_a_phone,
    wait_until_live,
)
from tests.e2e.stack import ROOT, Stack

WORKER = ROOT / "examples/quickstart/worker.py"

expect.set_options(timeout=MILLISECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def worker_stack(stack: Stack) -> Stack:
    # Its workflows are registered then; pages with a choice of them do not update themselves.
    stack.start_client("worker", WORKER).wait_for_output("waiting for tasks")
    return stack


@pytest.fixture
def account(stack: Stack) -> Iterator[Account]:
    """At the end of every test: nothing came from elsewhere and the console is clean."""
    account = Account()
    yield account
    assert account.foreign(stack.server_url) == []
    assert account.complaints == []


@pytest.fixture(scope="module")
def cookies(browser: Browser, stack: Stack) -> StorageState:
    """The admin's, who has signed in."""
    page = open_page(browser, Account())
    sign_in(page, stack)
    return page.context.storage_state()


@pytest.fixture
def page(browser: Browser, stack: Stack, account: Account, cookies: StorageState) -> Iterator[Page]:
    """A page of the admin, signed in, on the list of runs."""
    page = open_page(browser, account, cookies=cookies)
    page.goto(f"{stack.server_url}/t/default/runs")
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    yield page
    page.context.close()


def test_a_wrong_password_is_refused(browser: Browser, stack: Stack) -> None:
    # The browser itself writes the 422 to its console, so this page keeps an account of its own.
    page = open_page(browser, Account())
    page.goto(f"{stack.server_url}/t/default/runs")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    page.get_by_label("Password").fill(stack.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{stack.server_url}/t/default/runs")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.context.close()


def test_the_checklist_and_the_workers_list_follow_a_new_worker(page: Page, stack: Stack) -> None:
    expect(page.get_by_text("No runs yet")).to_be_visible()
    wait_until_live(page)
    page.evaluate("window.isSamePage = true")
    stack.start_client("worker", WORKER)
    page.get_by_role("link", name="Workers").click()
    row = page.get_by_role("row").filter(has_text="quickstart")
    expect(row.first).to_contain_text("Active")
    row.first.get_by_role("link").first.click()
    expect(page.get_by_text("greet", exact=False).first).to_be_visible()


def test_runs_appear_and_change_without_a_reload(
    browser: Browser, page: Page, worker_stack: Stack, account: Account
) -> None:
    """One tab watches; a run started in another appears there and becomes Completed."""
    wait_until_live(page)
    page.evaluate("window.isSamePage = true")
    other = page.context.new_page()
    trigger(other, worker_stack, "greet")
    other.get_by_label("name", exact=False).first.fill("Ada")
    other.get_by_role("button", name="Start run").click()
    expect(other.get_by_text("Run of greet started.")).to_be_visible()
    run_id = re.sub(r".*/runs/([0-9a-f-]{36}).*", r"\1", other.url)

    row = page.locator(f"#run-{run_id}")
    expect(row).to_be_visible()
    expect(row).to_contain_text("Completed")
    assert page.evaluate("window.isSamePage") is True

    expect(other.locator("#run .page-head .chip")).to_have_text("Completed")
    expect(other.locator("#run")).to_contain_text("Ada")
    expect(other.locator("#live-badge")).to_be_hidden()
    other.close()


def test_a_graph_run_is_followed_to_its_end(page: Page, worker_stack: Stack) -> None:
    trigger(page, worker_stack, "order")
    for field in page.locator("form.card input[inputmode=decimal]").all():
        if not field.input_value():
            field.fill("2")
    for field in page.locator("form.card input[type=text]:not([inputmode])").all():
        if not field.input_value():
            field.fill("tea")
    page.get_by_role("button", name="Start run").click()
    page.evaluate("window.isSamePage = true")
    expect(page.locator("#run .page-head .chip")).to_have_text("Completed")
    assert page.evaluate("window.isSamePage") is True
    expect(page.locator("svg a.node.s-completed")).to_have_count(2)
    page.get_by_role("link", name="Attempts").click()
    expect(page.locator("#details").get_by_role("row").filter(has_text="Completed")).to_have_count(
        2
    )


def test_retries_are_listed_and_a_run_is_replayed(page: Page, worker_stack: Stack) -> None:
    trigger(page, worker_stack, "call-flaky-service")
    page.get_by_role("button", name="Start run").click()
    chip = page.locator("#run .page-head .chip")
    expect(chip).to_have_text("Completed")
    page.get_by_role("link", name="Attempts").click()
    failed = page.locator("#details").get_by_role("row").filter(has_text="Failed")
    expect(failed.first).to_be_visible()
    attempts = page.locator("#details tbody tr")
    before = attempts.count()
    page.evaluate("window.isSamePage = true")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Run queued again")).to_be_visible()
    expect(attempts).not_to_have_count(before)
    expect(chip).to_have_text("Completed")
    assert page.evaluate("window.isSamePage") is True


def test_a_durable_run_is_followed_reset_and_finished(page: Page, worker_stack: Stack) -> None:
    """Its log grows without a reload; a reset makes a branch that waits for the event anew."""
    trigger(page, worker_stack, "book")
    page.get_by_label("number").fill("B 1")
    page.get_by_label("guest").fill("Barbara")
    page.get_by_role("button", name="Start run").click()
    expect(page.get_by_text("Run of book started.")).to_be_visible()
    run_url = page.url
    page.evaluate("window.isSamePage = true")
    log = page.locator("#details")
    # What the SDK remembers to look back by comes between the sleep and the event.
    expect(log.locator("#entry-1-1")).to_contain_text("let the guest think it over")
    expect(log.locator("#entry-1-1")).to_contain_text("Done after")
    waiting = log.locator("#entry-1-3")
    expect(waiting).to_contain_text("Event booking:paid of scope B 1 if input.cents > 0")
    expect(waiting).to_contain_text("Waiting since")
    assert page.evaluate("window.isSamePage") is True

    waiting.get_by_role("link", name="Reset from here…").click()
    page.get_by_role("button", name="Reset to step 3").click()
    expect(page.get_by_text("The task runs again from step 3 on, on branch 2.")).to_be_visible()
    expect(waiting).to_contain_text("left behind")
    expect(log.locator("#entry-2-3")).to_contain_text("Waiting since")

    page.evaluate("window.isSamePage = true")
    push_event(page.context.new_page(), worker_stack, "booking:paid", "B 1", '{"cents": 4200}')
    expect(page.locator("#run .page-head .chip")).to_have_text("Completed")
    assert page.evaluate("window.isSamePage") is True
    expect(page.locator("#run")).to_contain_text("Paid: 42.00")
    child = log.locator("#entry-2-4")
    expect(child).to_contain_text("Done after")
    child.get_by_role("link", name="greet").click()
    expect(page.locator("#run")).to_contain_text("Welcome, Barbara!")
    expect(page.locator("#run .crumbs a").last).to_have_attribute(
        "href", re.compile(re.sub(r".*/runs/([0-9a-f-]{36}).*", r"\1", run_url))
    )


def test_a_cron_is_made_with_a_look_at_its_times_and_run(page: Page, worker_stack: Stack) -> None:
    page.goto(f"{worker_stack.server_url}/t/default/crons")
    page.get_by_role("link", name="New cron").first.click()
    fill_in_greet(page, "Cron that starts")
    page.get_by_label("Cron name").fill("every January")
    expression = page.get_by_label("Cron expression")
    expression.press_sequentially("TZ=Europe/Berlin 0 8 1 1")
    expect(page.locator("#upcoming")).to_contain_text("it needs five fields")
    expression.press_sequentially(" *")
    expect(page.locator("#upcoming li")).to_have_count(5)
    expect(page.locator("#upcoming li").first).to_contain_text("08:00:00 CET")
    page.get_by_role("button", name="Create cron").click()
    expect(page.get_by_role("heading", name="every January")).to_be_visible()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("None while it is disabled")).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("#run .page-head .chip")).to_have_text("Completed")
    expect(page.locator("#run")).to_contain_text("Welcome, Ada!")


def test_a_scheduled_run_leaves_the_list_when_its_time_comes(
    page: Page, worker_stack: Stack
) -> None:
    page.goto(f"{worker_stack.server_url}/t/default/scheduled/new")
    fill_in_greet(page, "Scheduled run of")
    page.get_by_label("Time (UTC), or a delay").fill("1h")
    page.get_by_role("button", name="Schedule run").click()
    expect(page.get_by_text("A run of greet is scheduled.")).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{worker_stack.server_url}/t/default/scheduled")
    expect(other.locator("#schedule-list tbody tr")).to_have_count(1)
    wait_until_live(other)
    other.evaluate("window.isSamePage = true")
    page.get_by_label("Time (UTC), or a delay").fill("1s")
    page.get_by_role("button", name="Move").click()
    expect(page.get_by_text("Scheduled run moved.")).to_be_visible()
    expect(other.get_by_text("Nothing is scheduled")).to_be_visible()
    assert other.evaluate("window.isSamePage") is True
    other.get_by_label("State").select_option(label="Started")
    expect(other.locator("#schedule-list tbody tr .chip")).to_have_text("Completed")
    other.close()


def test_many_schedules_are_moved_and_deleted(page: Page, worker_stack: Stack) -> None:
    for _ in range(2):
        page.goto(f"{worker_stack.server_url}/t/default/scheduled/new")
        fill_in_greet(page, "Scheduled run of")
        page.get_by_role("button", name="Schedule run").click()
        expect(page.get_by_text("A run of greet is scheduled.")).to_be_visible()
    page.get_by_role("link", name="Scheduled runs").first.click()
    rows = page.locator("#schedule-list tbody tr")
    expect(rows).to_have_count(2)
    rows.first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 1").click()
    expect(page.get_by_text("Scheduled runs deleted: 1.")).to_be_visible()
    choice = page.get_by_label("Which scheduled runs")
    choice.select_option(label="All 1")
    page.get_by_role("button", name="Move…").click()
    page.get_by_label("Time (UTC), or a delay").fill("2040-01-31 08:00")
    page.get_by_role("button", name="Move 1").click()
    expect(rows).to_contain_text("2040-01-31 08:00:00")
    choice.select_option(label="All 1")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 1").click()
    expect(page.get_by_text("Nothing is scheduled")).to_be_visible()


def test_a_filter_is_tried_out_and_an_event_says_what_it_started(
    page: Page, worker_stack: Stack
) -> None:
    page.goto(f"{worker_stack.server_url}/t/default/filters/new")
    page.get_by_label("Workflow").select_option(label="greet")
    page.get_by_label("Scope").fill("eu")
    page.get_by_label("Expression (CEL)").fill("input.n > 3")
    page.get_by_label("Event payload").fill('{"n": 2}')
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("status").last).to_contain_text("False")
    page.get_by_label("Event payload").fill('{"n": 4}')
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_role("status").last).to_contain_text("True")
    page.get_by_role("button", name="Create filter").click()
    expect(page.get_by_role("heading", name="Filter of greet")).to_be_visible()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete filter").click()
    expect(page.get_by_text("Filter deleted.")).to_be_visible()
    page.get_by_role("link", name="Events").click()
    page.get_by_role("link", name="Push event").first.click()
    page.get_by_label("Key").fill("nobody:listens")
    page.get_by_label("Payload, a JSON object").fill('{"n": 4}')
    page.get_by_role("button", name="Push event").click()
    expect(page.get_by_text("No workflow is started by events of this key.")).to_be_visible()
    page.get_by_role("link", name="Events", exact=True).first.click()
    expect(page.locator("#event-list")).to_contain_text("nobody:listens")


def test_a_paused_workflow_holds_its_run_until_it_is_resumed(
    page: Page, worker_stack: Stack
) -> None:
    page.goto(f"{worker_stack.server_url}/t/default/workflows")
    page.get_by_role("link", name="greet", exact=True).click()
    workflow_url = page.url
    page.get_by_role("link", name="Pause…").click()
    page.get_by_label("Drop: that time is skipped").check()
    page.get_by_label("Hold a run for at most").fill("10m")
    page.get_by_role("button", name="Pause workflow").click()
    expect(page.get_by_text("greet is paused.")).to_be_visible()
    trigger(page, worker_stack, "greet")
    page.get_by_label("name", exact=False).first.fill("Ada")
    page.get_by_role("button", name="Start run").click()
    chip = page.locator("#run .page-head .chip")
    expect(page.locator("#run")).to_contain_text("Its workflow is paused")
    expect(chip).to_have_text("Queued")
    other = page.context.new_page()
    other.goto(workflow_url)
    other.get_by_role("button", name="Resume").click()
    expect(other.get_by_text("greet goes on.")).to_be_visible()
    other.close()
    expect(chip).to_have_text("Completed")


def test_a_queued_run_is_cancelled_from_its_page(page: Page, stack: Stack) -> None:
    for worker in [service for service in stack.services if service.name == "worker"]:
        worker.stop()
    trigger(page, stack, "greet")
    page.get_by_role("button", name="Edit as JSON").click()
    page.get_by_label("JSON object").fill('{"name": "nobody"}')
    page.get_by_role("button", name="Start run").click()
    chip = page.locator("#run .page-head .chip")
    expect(chip).to_have_text("Queued")
    page.evaluate("window.isSamePage = true")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel run").click()
    expect(chip).to_have_text("Cancelled")
    expect(page.get_by_text("Run cancelled.")).to_be_visible()
    expect(page.get_by_text("Cancel this run?")).to_be_hidden()
    assert page.evaluate("window.isSamePage") is True


def test_a_token_is_shown_once_and_revoked(page: Page, stack: Stack) -> None:
    page.get_by_role("link", name="API tokens").click()
    page.get_by_label("Name").fill("from the browser")
    page.get_by_role("button", name="Create token").click()
    shown = page.get_by_label("New token", exact=True).last
    expect(shown).to_have_value(re.compile(r"^ey.+\..+\..+$"))
    page.get_by_role("link", name="API tokens").click()
    expect(page.locator("#new-token")).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="from the browser")
    row.get_by_role("link", name="Rotate").click()
    page.get_by_role("button", name="Rotate token").click()
    expect(shown).to_have_value(re.compile(r"^ey.+\..+\..+$"))
    row.filter(has_text="Replaced by").get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke token").click()
    row.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke token").click()
    expect(page.get_by_text("is revoked")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="from the browser")).to_have_count(0)


def test_everything_is_reached_by_keyboard(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.server_url}/t/default/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "f-query"
    page.keyboard.type("ffff0000")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No run matches these filters")).to_be_visible()
    assert page.url.endswith("/runs?q=ffff0000&window=1d")
    unreachable = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select, summary")]
            .filter(e => e.offsetParent !== null && e.tabIndex < 0).map(e => e.outerHTML)"""
    )
    assert unreachable == []


def test_nothing_is_wider_than_a_small_phone(
    browser: Browser, stack: Stack, account: Account
) -> None:
    page = open_page(browser, account, width=320)
    sign_in(page, stack)
    visit_on_a_phone(page, stack, width=320)
    page.locator("#run-list tbody a").first.click()
    expect(page.locator("#run")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "a run"
    page.context.close()


def test_lists_are_polled_while_the_socket_is_down(
    browser: Browser, stack: Stack, account: Account
) -> None:
    page = open_page(browser, account)
    page.route_web_socket(re.compile(".*/live"), lambda socket: socket.close())
    sign_in(page, stack)
    expect(page.locator("#live-badge")).to_contain_text("checking every 5 s")
    with page.expect_response(re.compile(r"/now/live")) as answer:
        pass
    assert answer.value.status in {200, 304}
    page.context.close()
