"""One evaluation as a static page to keep or to send.

Owns the order of the page. The page is one file without scripts, opens from disk, asks for nothing from
elsewhere, and its own policy forbids both. Everything that came from a model, a suite or a user is escaped
by the way elements are made.
"""

from agentflow_evals.analysis.tables import Report, Row
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import facts, numbers, sections
from agentflow_evals.reports.facts import Fact
from agentflow_evals.reports.figures import Figures
from agentflow_evals.reports.markup import Child, Markup, cut, join, tag
from agentflow_evals.reports.matrix import legend, matrix
from agentflow_evals.reports.sections import scroll
from agentflow_evals.reports.style import POLICY, STYLE

NAME_CHARS = 120


def write_page(evaluation: Evaluation, report: Report) -> str:
    """Return an evaluation and its report as one HTML document."""
    parts = [part for part in _parts(evaluation, report) if part[2]]
    name = cut(evaluation.plan.suite.shown, NAME_CHARS)
    links = [tag("a", heading, href=f"#{anchor}") for anchor, heading, _content in parts]
    body = tag(
        "body",
        tag(
            "header",
            tag("h1", f"Evaluation of {name}"),
            tag("p", _size(evaluation, report), tag("br"), facts.circumstances(evaluation)),
            _best(report),
            _warning(evaluation),
            tag("nav", links, aria_label="sections"),
        ),
        tag("main", [_section(*part) for part in parts]),
        tag("footer", "Written by AgentFlow. No scripts, nothing loaded from elsewhere."),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{name}: evaluation {cut(evaluation.id, NAME_CHARS)}"),
        tag("style", Markup(STYLE)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _parts(evaluation: Evaluation, report: Report) -> list[tuple[str, str, Child]]:
    """Return anchor, heading and content of every section; no content, no section."""
    figures = Figures(evaluation, report)
    tables = sections
    return [
        ("summary", "Summary", scroll("summary", tables.summary(report, figures.style))),
        ("accuracy", "Accuracy against cost", figures.accuracy()),
        ("budgets", "Equal budgets", _equal_budget(figures)),
        ("tests", "Paired tests", _tests(report)),
        ("groups", "Groups", tables.groups(evaluation)),
        ("forms", "Depth and breadth", _forms(figures)),
        ("samples", "Every sample", _matrix(evaluation)),
        ("unsolved", "Not solved", tables.unsolved(evaluation)),
        ("about", "What was run", _about(evaluation)),
    ]


def _section(anchor: str, heading: str, content: Child) -> Markup:
    title = tag("h2", heading, id=f"{anchor}-heading")
    return tag("section", title, content, id=anchor, aria_labelledby=f"{anchor}-heading")


def _size(evaluation: Evaluation, report: Report) -> str:
    plan, runs = evaluation.plan, sum(row.planned for row in report.rows)
    return (
        f"{facts.size(plan, numbers.TIMES)} = {numbers.counted(runs, 'run')}, seed {plan.seed}, "
        f"evaluation {cut(evaluation.id, NAME_CHARS)}"
    )


def _best(report: Report) -> Markup | None:
    """Return the row that solves most in a sentence; of equals, the cheapest."""
    rated = [row for row in report.rows if row.rate is not None]
    if not rated:
        return None

    def rank(row: Row) -> tuple[float, float]:
        assert row.rate is not None, "rated"
        return -row.rate.estimate, row.tokens or 0.0

    best = min(rated, key=rank)
    assert best.rate is not None, "rated"
    name = tag("b", cut(f"{best.planner} with {best.model}", NAME_CHARS))
    rate = f"{numbers.percent(best.rate.estimate)} ({numbers.bounds(best.rate)} %)"
    return tag(
        "p",
        "Most solved: ",
        name,
        f", {rate} at {numbers.count(best.tokens)} tokens a sample.",
    )


def _warning(evaluation: Evaluation) -> Markup | None:
    missing = facts.missing(evaluation)
    ended = "" if evaluation.ended_at is not None else "The evaluation has not ended."
    rates = "Rates are of the runs that count." if missing else ""
    said = [part for part in (ended, rates, missing) if part]
    return tag("p", " ".join(said), class_="warning", role="note") if said else None


def _equal_budget(figures: Figures) -> Child:
    pictures = figures.equal_budget()
    said = "The share of samples solved by runs that used at most so many tokens."
    return [tag("p", said), tag("div", pictures, class_="pair")] if pictures else None


def _tests(report: Report) -> Child:
    if not report.pairs:
        return None
    said = (
        f"Every planner against {cut(report.baseline, NAME_CHARS)} on the same samples, two-sided. "
        "p (Holm) is corrected for all tests of one kind here."
    )
    return [tag("p", said), scroll("paired tests", sections.pairs(report))]


def _forms(figures: Figures) -> Child:
    pictures = figures.forms()
    said = (
        "How deep flows were nested below the planner in a run, and how many the broadest of them called. "
        "Numbers on bars are per cent of the runs."
    )
    return [tag("p", said), tag("div", pictures, class_="forms")] if pictures else None


def _matrix(evaluation: Evaluation) -> Markup:
    return join([legend(), scroll("every sample", matrix(evaluation), class_="scroll tall")])


def _about(evaluation: Evaluation) -> Markup:
    terms = [(tag("dt", fact.name), tag("dd", _lines(fact))) for fact in facts.facts(evaluation)]
    return tag("dl", terms)


def _lines(fact: Fact) -> Markup:
    if fact.name == facts.COMMAND:
        return tag("pre", fact.lines)
    if len(fact.lines) == 1:
        return join(fact.lines)
    return tag("ul", [tag("li", line) for line in fact.lines])
