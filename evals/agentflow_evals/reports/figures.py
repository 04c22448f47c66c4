"""From the rows of a report to its plots.

Owns which planner has which colour and which model which shape, the same in every plot and table.
"""

from collections import Counter
from collections.abc import Sequence

from agentflow_evals.analysis import curves as budgets
from agentflow_evals.analysis.tables import Report, Row
from agentflow_evals.record import Evaluation
from agentflow_evals.reports import numbers, plots, svg
from agentflow_evals.reports.markup import Markup, cut, tag
from agentflow_evals.reports.matrix import columns
from agentflow_evals.reports.sections import scroll, swatch

LABEL_CHARS = 80


class Figures:
    """The plots of one evaluation."""

    def __init__(self, evaluation: Evaluation, report: Report) -> None:
        self._evaluation, self._rows = evaluation, report.rows
        self._planners = list(dict.fromkeys(planner for _model, planner in columns(evaluation)))
        self._models = list(dict.fromkeys(model for model, _planner in columns(evaluation)))

    def style(self, planner: str, model: str) -> tuple[int, int]:
        """Return colour and shape: a planner's and a model's; of one planner alone, the model's both."""
        shape = self._models.index(model)
        return (self._planners.index(planner) if len(self._planners) > 1 else shape), shape

    def accuracy(self) -> list[Markup]:
        """Return accuracy against tokens, and against cost where it is known and not nothing."""
        rows = [row for row in self._rows if row.rate is not None]
        found = []
        points = [self._point(row, row.tokens or 0.0) for row in rows]
        if points:
            picture = plots.scatter("tokens", points, "tokens a sample", numbers.short_count)
            found.append(self._accuracy("tokens", picture, []))
        priced = [self._point(row, row.cost_usd) for row in rows if row.cost_usd]
        if priced:
            free = [self._name(row) for row in rows if row.cost_usd == 0]
            unknown = [self._name(row) for row in rows if row.cost_usd is None]
            picture = plots.scatter("cost", priced, "US dollars a sample", numbers.usd)
            left_out = [*_named("Cost nothing", free), *_named("Price not known", unknown)]
            found.append(self._accuracy("cost", picture, left_out))
        return found

    def equal_budget(self) -> list[Markup]:
        """Return one plot of curves for each model; of one planner alone, one with all models."""
        found = budgets.curves_of(self._evaluation)
        tokens = [float(point.tokens) for curve in found for point in curve.points if point.tokens]
        if not tokens:
            return []
        alone = len(self._planners) == 1
        parts = (
            {"": list(found)}
            if alone
            else {
                model: [curve for curve in found if curve.model == model] for model in self._models
            }
        )
        return [
            self._curves(f"budget-{place}", model, part, (min(tokens), max(tokens)))
            for place, (model, part) in enumerate(parts.items())
            if part
        ]

    def forms(self) -> list[Markup]:
        """Return how depth and breadth are distributed, for each row; nothing if no run was divided."""
        depths: dict[tuple[str, str], Counter[int]] = {}
        breadths: dict[tuple[str, str], Counter[int]] = {}
        for outcome in self._evaluation.outcomes:
            if outcome.is_counted:
                place = (outcome.model, outcome.planner)
                depths.setdefault(place, Counter())[outcome.measures.depth] += 1
                breadths.setdefault(place, Counter())[outcome.measures.breadth] += 1
        found = [_Form("depth", depths), _Form("breadth", breadths)]
        if not any(form.highest for form in found):
            return []
        return [
            self._form(number, place, found)
            for number, place in enumerate(columns(self._evaluation))
            if place in depths
        ]

    def _form(self, number: int, place: tuple[str, str], forms: Sequence["_Form"]) -> Markup:
        model, planner = place
        name = f"{planner} · {model}" if len(self._models) > 1 else planner
        pictures = [
            plots.bars(
                f"{form.name}-{number}", form.name, form.counts[place], form.highest, form.share
            )
            for form in forms
        ]
        caption = tag("figcaption", swatch(*self.style(planner, model)), cut(name, LABEL_CHARS))
        return tag("figure", caption, tag("div", pictures))

    def _curves(
        self, name: str, model: str, found: Sequence[budgets.Curve], within: tuple[float, float]
    ) -> Markup:
        lines = [
            plots.Curve(
                label=curve.planner if model else curve.model,
                points=[(float(point.tokens), point.share) for point in curve.points],
                colour=self.style(curve.planner, curve.model)[0],
            )
            for curve in found
        ]
        title = f"Solved within a budget of tokens{', ' if model else ''}{model}"
        picture = plots.curves(name, title, lines, within, "tokens a run may spend")
        heading = model or self._planners[0]
        return tag(
            "figure", tag("figcaption", cut(heading, LABEL_CHARS)), scroll(cut(title, 200), picture)
        )

    def _point(self, row: Row, x: float) -> plots.Point:
        assert row.rate is not None, "chosen by the caller"
        colour, shape = self.style(row.planner, row.model)
        return plots.Point(
            label=self._name(row),
            text=self._text(row),
            x=x,
            y=row.rate.estimate,
            low=row.rate.low,
            high=row.rate.high,
            colour=colour,
            shape=shape,
        )

    def _name(self, row: Row) -> str:
        return f"{row.planner} · {row.model}" if len(self._models) > 1 else row.planner

    def _text(self, row: Row) -> str:
        """Return a label as short as colours and shapes allow."""
        if len(self._planners) == 1:
            return row.model
        return row.planner if len(self._models) <= svg.SHAPES else self._name(row)

    def _accuracy(self, name: str, picture: Markup, left_out: Sequence[str]) -> Markup:
        shapes = [
            tag("li", swatch(7, shape), cut(model, LABEL_CHARS))
            for shape, model in enumerate(self._models[: svg.SHAPES])
        ]
        several = len(self._models) > 1 and len(self._planners) > 1
        note = "The dashed line joins those that nothing cheaper equals; bars are 95 % intervals."
        return tag(
            "figure",
            scroll(f"accuracy against {name}", picture),
            tag("ul", shapes, class_="legend") if several else None,
            tag("figcaption", " ".join([note, *left_out])),
            class_="wide",
        )


def _named(why: str, names: Sequence[str]) -> list[str]:
    return [f"{why}: {cut(', '.join(names), 300)}."] if names else []


class _Form:
    """How one whole number is distributed in every row, on common scales."""

    def __init__(self, name: str, counts: dict[tuple[str, str], Counter[int]]) -> None:
        self.name, self.counts = name, counts
        self.highest = max((max(each) for each in counts.values()), default=0)
        self.share = plots.full_bar(list(counts.values()), self.highest)
