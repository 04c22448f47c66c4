"""One run: its outline, flame, graph, transcript, table, and the panel of a step."""

import re

import pytest
from playwright.sync_api import expect

from tests.web.browser.runs import MIDDLE
from tests.web.browser.viewer import Viewer, exactly

pytestmark = pytest.mark.slow


def test_the_outline_has_a_row_for_each_step_and_says_how_it_stands(viewer: Viewer) -> None:
    viewer.open("trip")
    expect(viewer.rows.first).to_have_attribute(
        "aria-label",
        re.compile(r"^flow, trip, succeeded, 2 errors below, 85 tokens, cost \$0\.11,"),
    )
    lost = viewer.row("visit", 1)
    expect(lost).to_have_attribute("aria-level", "2")
    expect(lost).to_contain_text("✗ failed")
    lost.click()
    viewer.page.keyboard.press("ArrowLeft")
    expect(lost).to_have_attribute("aria-expanded", "false")
    expect(lost).to_contain_text("1 ✗")
    expect(viewer.row("look_up", 2)).to_be_hidden()


def test_siblings_that_are_alike_are_folded_until_they_are_wanted(viewer: Viewer) -> None:
    viewer.open("trip")
    fold = viewer.rows.filter(has_text="20 more weigh (fold)")
    expect(fold).to_be_visible()
    expect(viewer.row("weigh")).to_have_count(0)
    fold.click()
    viewer.page.keyboard.press("ArrowRight")
    expect(fold).to_have_count(0)
    expect(viewer.row("weigh", 19)).to_be_attached()


def test_the_bars_axis_follows_the_selection(viewer: Viewer) -> None:
    viewer.open("trip")
    ends = viewer.page.locator(".head .ends")
    pressed = viewer.page.locator(".axis button[aria-pressed=true]")
    viewer.choose("trip")
    whole = ends.all_inner_texts()
    viewer.choose("look_up")
    expect(ends.first).not_to_have_text(whole[0])
    expect(pressed).to_have_text("parent")
    viewer.page.keyboard.press("f")
    expect(pressed).to_have_text("step")
    viewer.page.keyboard.press("Shift+F")
    expect(pressed).to_have_text("run")
    expect(ends).to_have_text([exactly(text) for text in whole])
    viewer.page.keyboard.press("w")
    expect(pressed).to_have_count(0)
    expect(ends.first).not_to_have_text(whole[0])


def test_the_flame_shows_the_step_that_is_chosen_by_pointer_or_keys(viewer: Viewer) -> None:
    viewer.open("trip", s=1)
    viewer.show("Flame")
    flame = viewer.page.get_by_role("application", name="flame of the run")
    box = flame.bounding_box()
    assert box
    title = viewer.panel.get_by_role("heading", level=2)
    flame.click(position={"x": box["width"] / 3, "y": 45})
    expect(title).not_to_contain_text("#1", use_inner_text=True)
    flame.focus()
    viewer.page.keyboard.press("Home")
    expect(title).to_contain_text("trip #1")
    viewer.page.keyboard.press("ArrowDown")
    expect(title).to_contain_text("generate #2")
    viewer.page.keyboard.press("ArrowRight")
    expect(title).to_contain_text("visit #3")
    viewer.page.keyboard.press("Enter")
    expect(viewer.page.get_by_role("button", name="Zoom out")).to_be_enabled()


def test_the_graph_groups_what_is_alike_and_opens_a_group(viewer: Viewer) -> None:
    viewer.open("trip", s=13)
    viewer.show("Graph")
    graph = viewer.page.get_by_role("tree", name="graph of pack 13")
    group = graph.get_by_role("treeitem").filter(has_text="weigh")
    expect(group).to_have_attribute("aria-label", re.compile("20"))
    group.focus()
    viewer.page.keyboard.press("Enter")
    expect(graph.get_by_role("treeitem")).to_have_count(21)
    viewer.page.get_by_role("button", name="Up", exact=True).click()
    whole = viewer.page.get_by_role("tree", name="graph of trip 1")
    lost = whole.get_by_role("treeitem", name=re.compile("visit.*failed"))
    lost.click()
    expect(viewer.panel.get_by_role("heading", level=2)).to_contain_text("visit #5")


def test_the_transcript_tells_prompts_replies_code_tools_and_errors_in_order(
    viewer: Viewer,
) -> None:
    viewer.open("trip", s=1, v="transcript")
    entries = viewer.page.locator(".entries .entry")
    asked = entries.filter(has_text="Put these in order: Rome, Atlantis, Oslo")
    expect(asked).to_contain_text("First Rome.")
    expect(entries.filter(has_text="You are a guide").first).to_be_visible()
    expect(entries.locator("strong", has_text="forum").first).to_be_visible()
    expect(entries.locator("pre .keyword", has_text="def").first).to_be_visible()
    expect(entries.get_by_text("LookupError").first).to_be_visible()
    expect(entries.get_by_text("on the way to Rome").first).to_be_visible()
    again = entries.get_by_role("button", name=re.compile(r"same \d messages as #\d+")).first
    again.click()
    expect(again).to_have_attribute("aria-expanded", "true")
    trace = entries.filter(has=viewer.page.locator("summary", has_text="Traceback")).first
    trace.locator("summary", has_text="Traceback").click()
    expect(trace).to_contain_text('raise LookupError("there is no Atlantis')


def test_a_program_is_told_before_and_after_its_expansion(viewer: Viewer) -> None:
    viewer.open("recoded", s=1, v="transcript")
    entries = viewer.page.locator(".entries .entry")
    turned = entries.filter(has_text="turned into a program").first
    expect(turned).to_contain_text("low = find_low(xs)")
    turned.scroll_into_view_if_needed()
    expect(turned.locator("pre code .keyword").first).to_be_visible()
    viewer.show("Tree")
    viewer.choose("recode")
    expect(viewer.tab("Code")).to_contain_text("high = find_high(xs)")


def test_the_table_sorts_steps_and_sums_them_up_by_name(viewer: Viewer) -> None:
    viewer.open("trip", v="table")
    grid = viewer.page.get_by_role("grid", name="steps")
    numbers = grid.locator(".body [role=row] [role=gridcell]:first-child")
    expect(numbers.nth(1)).to_have_text("2")
    viewer.page.get_by_role("button", name="Slowest first").click()
    expect(numbers.first).to_have_text("1")
    expect(grid.get_by_role("columnheader", name="Took")).to_have_attribute(
        "aria-sort", "descending"
    )
    grid.focus()
    for key in ("Home", "ArrowDown", "Enter"):
        viewer.page.keyboard.press(key)
    expect(viewer.panel.get_by_role("heading", level=2)).to_contain_text("generate #2")
    viewer.page.get_by_role("button", name="By name").click()
    groups = viewer.page.get_by_role("grid", name="steps by name")
    weigh = groups.get_by_role("row").filter(has_text="weigh")
    expect(weigh.get_by_role("gridcell").nth(2)).to_have_text("20")
    weigh.click()
    expect(viewer.page.get_by_role("searchbox")).to_have_value('kind:tool name:"weigh"')
    expect(grid).to_have_attribute("aria-rowcount", "21")


def test_the_panel_shows_inputs_outputs_parameters_usage_and_attempts(viewer: Viewer) -> None:
    viewer.open("trip", s=2)
    facts = viewer.panel.get_by_role("list", name="Facts")
    for said in ("openai:wire-1", "12 tokens in", "5 out", "$0.02", "2 attempts"):
        expect(facts).to_contain_text(said)
    asked = viewer.tab("Input")
    asked.get_by_role("button", name="raw").click()
    expect(asked).to_contain_text("Put these in order")
    expect(viewer.tab("Output")).to_contain_text("First Rome.")
    expect(viewer.tab("Events")).to_contain_text("retry")
    expect(viewer.tab("Details")).to_contain_text("input_tokens")
    viewer.choose("look_up", 1)
    expect(viewer.tab("Error")).to_contain_text("there is no Atlantis")
    viewer.choose("book")
    expect(viewer.panel).to_contain_text("⚡ effect")


def test_the_panel_says_where_a_result_came_from(viewer: Viewer) -> None:
    viewer.open("trip-forked")
    viewer.choose("look_up")
    expect(viewer.panel).to_contain_text("✎ given in a fork")
    viewer.choose("book")
    viewer.panel.get_by_role("link", name="step 34 of trip").click()
    expect(viewer.page.get_by_role("heading", level=1)).to_contain_text("trip trip")
    expect(viewer.panel.get_by_role("heading", level=2)).to_contain_text("book #34")


def test_the_panel_leads_to_what_a_step_consumed_and_fed(viewer: Viewer) -> None:
    viewer.open(MIDDLE, q="kind:flow")
    linked = viewer.page.evaluate(
        """async ([run, token]) => {
            const headers = { Authorization: `Bearer ${token}` };
            const reply = await fetch(`api/runs/${run}/changes?after=0`, { headers });
            const [step, [from]] = Object.entries((await reply.json()).links)[0];
            return [Number(step), from];
        }""",
        [MIDDLE, viewer.token],
    )
    viewer.open(MIDDLE, s=linked[0])
    viewer.panel.get_by_role("button", name=re.compile(f"#{linked[1]}$")).click()
    title = viewer.panel.get_by_role("heading", level=2)
    expect(title).to_contain_text(f"#{linked[1]}")
    viewer.panel.locator(".chips", has_text="feeds").get_by_role(
        "button", name=re.compile(f"#{linked[0]}$")
    ).click()
    expect(title).to_contain_text(f"#{linked[0]}")
