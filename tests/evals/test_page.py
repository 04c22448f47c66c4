"""The page of an evaluation: whole, self-contained, deaf to hostile content, and right to the pixel."""

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from agentflow_evals.analysis.tables import summarise
from agentflow_evals.outcome import Measures, Outcome, Status
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan, SuiteUsed
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import labels, plots
from agentflow_evals.reports.command import command_of
from agentflow_evals.reports.markup import Markup, tag
from agentflow_evals.reports.page import write_page
from agentflow_evals.reports.scales import Linear, log_scale
from agentflow_evals.reports.style import STYLE
from hypothesis import given
from hypothesis import strategies as st

from agentflow.models.protocol import ModelSpec
from agentflow.solving import Named

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&]]>--><style>*{}</style>"
STRANGE = "\x00\x1b[31m\ud800\u202e漢字 שלום 🧪\n" + "W" * 9_000
STATUSES: tuple[Status, ...] = ("passed", "failed", "refused", "error")
VOID = {"meta", "br", "wbr"}
POSITIVE = st.floats(1e-9, 1e15)


class Parsed(HTMLParser):
    """The elements of a page with attributes and text, and whether each was closed in order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[int, str] = {}
        self.open: list[tuple[str, int]] = []
        self.text = ""
        self.feed(document)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute of {tag} stands there twice"
        if tag not in VOID:
            self.open.append((tag, len(self.elements)))
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        for _tag, number in self.open[-2:]:
            self.texts[number] = self.texts.get(number, "") + data

    def all(self, tag: str, class_: str | None = None) -> Iterator[tuple[dict[str, str], str]]:
        """Yield attributes and text of the elements of a kind."""
        for number, (name, attributes) in enumerate(self.elements):
            if name == tag and class_ in (None, *attributes.get("class", "").split()):
                yield attributes, self.texts.get(number, "")


def evaluation(
    samples: int = 6,
    planners: tuple[str, ...] = ("direct", "recode"),
    models: tuple[str, ...] = ("small", "large"),
    *,
    statuses: tuple[Status, ...] = STATUSES,
    said: str = "wrong",
    cost_usd: float | None = None,
) -> Evaluation:
    plan = EvaluationPlan(
        suite=SuiteUsed(name="humaneval", digest="d1"),
        samples=tuple(f"task {number}" for number in range(samples)),
        planners=tuple(Contender(label=text, planner=Named(name="direct")) for text in planners),
        models=tuple(Entrant(label=m, spec=ModelSpec(provider="gguf", name="m")) for m in models),
    )
    found = []
    for number, (cell, status) in enumerate(zip(plan.cells(), itertools.cycle(statuses))):
        found.append(
            Outcome(
                sample=cell.sample,
                planner=cell.planner,
                model=cell.model,
                run=f"run{number}",
                status=status,
                value=float(status == "passed"),
                reason=said,
                answer=said,
                target={said: [said]},
                group=said[:300],
                measures=Measures(
                    input_tokens=10 * number, depth=number % 3, breadth=number, cost_usd=cost_usd
                ),
            )
        )
    return Evaluation(id="e1", plan=plan, outcomes=found, ended_at=1.0)


def page(found: Evaluation) -> str:
    return write_page(found, summarise(found))


@pytest.mark.parametrize("text", [HOSTILE, STRANGE])
def test_nothing_of_a_model_a_suite_or_a_user_becomes_markup(text: str) -> None:
    plain = evaluation(planners=("a", "b"), models=("c", "d"), said="e")
    hostile = evaluation(planners=(text, f"{text}2"), models=(text, f"{text}2"), said=text)
    plan = hostile.plan.model_copy(
        update={"samples": (text, *hostile.plan.samples[1:]), "suite": SuiteUsed(name=text)}
    )
    outcomes = [
        outcome.model_copy(update={"run": f"{text}{number}"} | _renamed(outcome, text))
        for number, outcome in enumerate(hostile.outcomes)
    ]
    hostile = Evaluation(id=text, plan=plan, outcomes=outcomes, machine={text: text})
    document = page(hostile)
    document.encode("utf-8")
    found = Parsed(document)
    assert {name for name, _attributes in found.elements} <= {
        name for name, _attributes in Parsed(page(plain)).elements
    } | {"small", "wbr"}
    names = {name for _tag, attributes in found.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | (names & {"style", "src"})
    assert "<script" not in document
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", document)


def _renamed(outcome: Outcome, text: str) -> dict[str, str]:
    return {"sample": text} if outcome.sample == "task 0" else {}


def test_hostile_text_is_shown_as_it_is() -> None:
    assert "<script>alert(1)</script>" in Parsed(page(evaluation(said=HOSTILE))).text


def test_the_page_asks_for_nothing_and_allows_nothing() -> None:
    document = page(evaluation(cost_usd=0.01))
    found = Parsed(document)
    assert not {name for name, _attributes in found.elements} & {"script", "link", "img", "iframe"}
    assert not re.findall(r"https?:|url\(|@import", document)
    links = [attributes["href"] for attributes, _text in found.all("a")]
    ids = [attributes["id"] for _tag, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in links} <= set(ids)
    policy = next(a["content"] for a, _text in found.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy
    (style,) = (text for _attributes, text in found.all("style"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy


def test_every_outcome_is_in_the_matrix_and_every_missing_one_shows() -> None:
    whole = evaluation(samples=9)
    found = Evaluation(id="e", plan=whole.plan, outcomes=whole.outcomes[:-5])
    parsed = Parsed(page(found))
    signs = {"passed": "✓", "failed": "✗", "refused": "⊘", "error": "!"}
    cells = {a["id"]: (a, text) for a, text in parsed.all("td") if "id" in a}
    assert len(cells) == len(found.outcomes)
    for outcome in found.outcomes:
        attributes, text = cells[f"run-{outcome.run}"]
        assert (attributes["class"], text) == (outcome.status, signs[outcome.status])
        assert f"{outcome.measures.tokens:,} tokens" in attributes["title"]
        assert f"run {outcome.run}" in attributes["title"]
        assert outcome.status == "passed" or outcome.reason in attributes["title"]
    assert len(list(parsed.all("td", "missing"))) == 5


def test_repeats_of_a_sample_share_a_cell_that_counts_them() -> None:
    once = evaluation(samples=1, planners=("direct",), models=("m",), statuses=("passed",))
    again = once.outcomes[0].model_copy(update={"repeat": 1, "run": "again", "status": "failed"})
    plan = once.plan.model_copy(update={"repeat": 2})
    parsed = Parsed(page(Evaluation(id="e", plan=plan, outcomes=[*once.outcomes, again])))
    (cell,) = ((a, text) for a, text in parsed.all("td", "partly"))
    assert cell[1] == "1/2"
    assert "run run0" in cell[0]["title"]
    assert "run again" in cell[0]["title"]


@pytest.mark.parametrize(
    "found",
    [
        Evaluation(id="e", plan=evaluation().plan, outcomes=[]),
        evaluation(samples=1, planners=("direct",), models=("m",)),
        evaluation(statuses=("error",)),
        evaluation(statuses=("failed",)),
        evaluation(planners=("direct",), cost_usd=0.5),
    ],
    ids=["no outcome", "one sample", "all errors", "none solved", "one planner"],
)
def test_what_little_there_is_makes_a_page(found: Evaluation) -> None:
    parsed = Parsed(page(found))
    assert len(list(parsed.all("h1"))) == 1
    rows = len(found.plan.planners) * len(found.plan.models)
    assert len([a for a, _text in parsed.all("th") if a.get("scope") == "row"]) >= rows
    assert "nan" not in parsed.text.lower().split()


def test_pictures_and_tables_say_what_they_are() -> None:
    parsed = Parsed(page(evaluation()))
    ids = {attributes.get("id") for _tag, attributes in parsed.elements}
    for attributes, _text in parsed.all("svg"):
        assert attributes.get("aria-hidden") == "true" or (
            attributes["role"] == "img" and set(attributes["aria-labelledby"].split()) <= ids
        )
    assert len(list(parsed.all("caption"))) == len(list(parsed.all("table")))
    assert all("scope" in attributes for attributes, _text in parsed.all("th"))


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_what_is_behind_them(mode: int) -> None:
    sheets = STYLE.partition("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", sheets[0]))
    if mode:
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", sheets[2]))
    for number in range(8):
        assert _contrast(colours[f"c{number}"], colours["back"]) >= 3
    for name in ("good", "bad", "odd", "note"):
        assert _contrast(colours[f"{name}-text"], colours[name]) >= 4.5
    assert _contrast(colours["dim"], colours["back"]) >= 4.5


def _contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2."""
    lights = sorted(_luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_marks_stand_where_the_scales_say() -> None:
    points = [
        plots.Point(label=n, text=n, x=x, y=y, low=y / 2, high=y, colour=0, shape=0)
        for n, x, y in (("a", 100.0, 0.25), ("b", 1_000.0, 0.5), ("c", 10_000.0, 1.0))
    ]
    parsed = Parsed(plots.scatter("p", points, "tokens", str))
    marks = [(float(a["cx"]), float(a["cy"])) for a, _text in parsed.all("circle", "mark")]
    lines = [a for a, _text in parsed.all("line", "grid")]
    left, right = min(float(a["x1"]) for a in lines), max(float(a["x2"]) for a in lines)
    top, bottom = min(float(a["y1"]) for a in lines), max(float(a["y1"]) for a in lines)
    assert [x for x, _y in marks] == pytest.approx([left, (left + right) / 2, right])
    heights = [bottom - share * (bottom - top) for share in (0.25, 0.5, 1.0)]
    assert [y for _x, y in marks] == pytest.approx(heights)


def test_a_curve_steps_where_its_points_are() -> None:
    curve = plots.Curve(label="a", points=[(10.0, 0.5), (1_000.0, 1.0)], colour=0)
    parsed = Parsed(plots.curves("p", "t", [curve], (10.0, 1_000.0), "tokens"))
    (path,) = (a["d"] for a, _text in parsed.all("path") if "d" in a)
    x = [float(found) for found in re.findall(r"H([\d.]+)", path)]
    y = [float(found) for found in re.findall(r"V([\d.]+)", path)]
    assert x[0] == 52
    assert x[1] == x[2]
    assert y[0] - y[1] == pytest.approx((320 - 48 - 28) / 2)


@given(st.lists(POSITIVE, min_size=1, max_size=20), st.booleans())
def test_a_log_scale_holds_its_values_in_their_order(values: list[float], with_zero: bool) -> None:
    scale = log_scale([*values, *([0.0] if with_zero else [])], 50, 750)
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(50 - 1e-6 <= place <= 750 + 1e-6 for place in places)
    assert scale(0) == 50
    assert with_zero <= (min(places) > 60)
    for a, b in itertools.pairwise(sorted(set(values))):
        ratio = (b / a) ** 0.5
        assert scale(a * ratio) == pytest.approx((scale(a) + scale(b)) / 2, abs=1e-3)
    ticks = scale.ticks()
    assert len(ticks) <= 10
    assert [scale(tick) for tick in ticks] == sorted(scale(tick) for tick in ticks)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_of_a_linear_scale_are_few_and_within(low: float, size: float) -> None:
    scale = Linear(low=low, high=low + size, start=0, end=100)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 6
    assert all(-0.1 <= scale(tick) <= 100.1 for tick in ticks)


@given(st.lists(st.floats(30, 270), min_size=1, max_size=17))
def test_labels_at_the_ends_of_lines_keep_their_order_and_do_not_touch(places: list[float]) -> None:
    found = labels.spread(places, 30, 270)
    assert all(30 - 1e-6 <= place <= 270 + 1e-6 for place in found)
    for a, b in itertools.pairwise(sorted(found)):
        assert b - a >= labels.LINE - 1e-6
    ordered = sorted(range(len(places)), key=lambda index: places[index])
    assert [found[index] for index in ordered] == sorted(found)


def test_labels_of_ten_marks_close_together_do_not_cover_each_other() -> None:
    marks = [(200.0 + 25 * n, 100.0 + 9 * (n % 3), f"planner_{n}") for n in range(10)]
    found = labels.beside(marks, [], labels.Box(50, 20, 750, 400))
    assert all(a.shared(b) < 1 for a, b in itertools.combinations(found, 2))


def test_the_frontier_leaves_out_what_is_dearer_and_no_better() -> None:
    assert plots.frontier([(5, 0.5), (1, 0.2), (9, 0.4), (5, 0.3)]) == [(1, 0.2), (5, 0.5)]


def test_bars_add_up_to_all_runs() -> None:
    counts = {0: 3, 7: 2, 40: 5}
    parsed = Parsed(plots.bars("p", "depth", counts, 40, 0.5))
    (told,) = (text for a, text in parsed.all("desc"))
    assert sum(int(part.rpartition(" ")[2]) for part in told.split(";")) == 10
    assert len(list(parsed.all("rect"))) == 3


@given(st.text(), st.text())
def test_an_element_gives_back_the_text_it_was_made_of(text: str, attribute: str) -> None:
    parsed = Parsed(tag("p", text, title=attribute))
    replaced = re.compile(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
    )
    assert parsed.text == replaced.sub("\ufffd", text)
    assert parsed.elements == [("p", {"title": replaced.sub("\ufffd", attribute)})]
    assert isinstance(tag("p", Markup("<b>")), Markup)


def test_the_command_names_what_was_run_and_no_folder_of_this_machine(tmp_path: Path) -> None:
    plan = evaluation(samples=3, planners=("direct", "twice")).plan
    suite = SuiteUsed(name="mine", options={"path": str(tmp_path / "data.jsonl")})
    command = command_of(plan.model_copy(update={"suite": suite}))
    assert command == (
        "agentflow eval mine --set path=data.jsonl --planner direct --planner twice=direct "
        "--model small=gguf:m --model large=gguf:m --limit 3 --seed 0"
    )
    document = page(Evaluation(id="e", plan=plan.model_copy(update={"suite": suite}), outcomes=[]))
    assert str(tmp_path) not in document
