"""`agentflow eval predict`: what a run would take and cost with another parallelism, model or chunk size."""

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from agentflow.cli.words import clean, dollars, tokens
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Price
from agentflow_evals.prediction.chunks import ChunkChoice, best_chunk, sweep_chunks
from agentflow_evals.prediction.figures import CallFigures, fit_figures
from agentflow_evals.prediction.prediction import Prediction
from agentflow_evals.prediction.prediction import predict as predict_shape
from agentflow_evals.prediction.recorded import recorded_shape
from agentflow_evals.prediction.shape import Call, Shape


class Numbers(click.ParamType[list[float]]):
    """Some numbers with commas between them, none negative; `fewest` to `most` of them."""

    name = "numbers"

    def __init__(self, fewest: int, most: int, *, whole: bool = True) -> None:
        self.fewest, self.most, self.whole = fewest, most, whole

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        """Return the numbers."""
        try:
            found = [int(part) if self.whole else float(part) for part in str(value).split(",")]
        except ValueError:
            found = []
        if not self.fewest <= len(found) <= self.most or not all(0 <= n < 1e12 for n in found):
            kind = "whole numbers" if self.whole else "numbers"
            count = f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} or more"
            self.fail(f"{value!r}: give {count} {kind}, such as {_example(self)}", param, ctx)
        return found


def _example(numbers: Numbers) -> str:
    return ",".join(["4", "16", "1"][: max(2, numbers.fewest)])


MANY, PAIR = Numbers(1, 50), Numbers(2, 2)


@click.command()
@click.argument("run")
@click.option(
    "--parallelism", "-p", type=MANY, default="1,4,16", help="Permits a model.", show_default=True
)
@click.option("--model-from", metavar="RUN", help="Take the figures of calls from another run.")
@click.option(
    "--price",
    type=Numbers(2, 3, whole=False),
    metavar="IN,OUT[,CACHED]",
    help="US dollars per million tokens.",
)
@click.option("--items", type=click.IntRange(1), help="Sweep chunk sizes over that many items.")
@click.option("--each", type=PAIR, default="100,20", metavar="IN,OUT", help="Tokens of any call.")
@click.option("--item", type=PAIR, default="50,5", metavar="IN,OUT", help="Tokens an item adds.")
@click.option("--merge", type=PAIR, metavar="IN,OUT", help="Tokens of a merging call, if any.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one prediction a line.")
def predict(
    run: str,
    parallelism: list[float],
    model_from: str | None,
    price: list[float] | None,
    items: int | None,
    each: list[float],
    item: list[float],
    merge: list[float] | None,
    journal: str | None,
    as_json: bool,
) -> None:
    """Predict time and cost of RUN (an id, its beginning, or `last`) under other circumstances.

    With --items, RUN only tells how fast the model is: the table is over chunk sizes.

    \b
    agentflow eval predict last --parallelism 1,4,16
    agentflow eval predict last --model-from 68f0 --price 0.25,2
    agentflow eval predict last --items 500 --each 120,10 --item 40,4 --merge 60,80
    """
    permits = [int(number) for number in parallelism]
    with Journal(journal) as opened:
        record = opened.run(run)
        other = opened.run(model_from) if model_from else None
    if items is not None:
        one = fit_figures([other or record], price=_price(price))
        for each_p in permits:
            _show_chunks(_swept(items, one, each_p, each, item, merge), as_json)
        return
    shape = recorded_shape(record)
    figures = _figures(record, other, shape, _price(price))
    _show(record, figures, [predict_shape(shape, figures, number) for number in permits], as_json)


def _swept(
    items: int,
    figures: CallFigures,
    permits: int,
    each: list[float],
    item: list[float],
    merge: list[float] | None,
) -> list[ChunkChoice]:
    end = _call(merge) if merge else None
    return sweep_chunks(items, figures, permits, each=_call(each), item=_call(item), merge=end)


def _figures(
    record: RunRecord, other: RunRecord | None, shape: Shape, price: Price | None
) -> dict[str, CallFigures]:
    models = dict.fromkeys(call.model for call in shape.calls)
    if other is not None:
        return dict.fromkeys(models, fit_figures([other], price=price))
    return {model: fit_figures([record], model=model or None, price=price) for model in models}


def _price(given: list[float] | None) -> Price | None:
    if given is None:
        return None
    return Price(input=given[0], output=given[1], cached_input=given[2] if given[2:] else None)


def _call(given: list[float]) -> Call:
    return Call(input_tokens=int(given[0]), output_tokens=int(given[1]))


def _show(
    record: RunRecord, figures: dict[str, CallFigures], found: list[Prediction], as_json: bool
) -> None:
    if as_json:
        for made in found:
            click.echo(json.dumps({"run": record.id, **asdict(made)}))
        return
    first = found[0]
    click.echo(
        f"run {record.id}  {clean(record.flow)}  {first.calls} calls  {tokens(first.tokens)}  "
        f"{record.seconds or 0:.2f} s recorded"
    )
    for model, of in figures.items():
        line = of.latency
        click.echo(
            f"{clean(model) or 'a call'}: {line.fixed_s * 1e3:.0f} ms + {line.input_token_s * 1e3:.3g} ms "
            f"a prompt token + {line.output_token_s * 1e3:.3g} ms a token written, "
            f"spread {of.spread:.0%}, from {of.calls} calls"
        )
    table = Table("parallelism", "seconds", "90 % of runs", "critical path", "used", "cost")
    for made in found:
        table.add_row(
            str(made.parallelism),
            f"{made.seconds:.2f}",
            f"{made.low_s:.2f} to {made.high_s:.2f}",
            f"{made.critical_path_s:.2f}",
            f"{made.utilisation:.0%}",
            dollars(made.cost_usd),
        )
    Console().print(table)


def _show_chunks(choices: list[ChunkChoice], as_json: bool) -> None:
    if as_json:
        for choice in choices:
            click.echo(json.dumps({"chunk": choice.chunk, **asdict(choice.prediction)}))
        return
    best = best_chunk(choices)
    table = Table("chunk", "calls", "seconds", "tokens", "cost")
    for choice in choices:
        made = choice.prediction
        table.add_row(
            str(choice.chunk),
            str(made.calls),
            f"{made.seconds:.2f}",
            tokens(made.tokens),
            dollars(made.cost_usd),
            style="bold" if choice is best else None,
        )
    console = Console()
    console.print(table)
    made = best.prediction
    console.print(
        f"parallelism {made.parallelism}: chunks of {best.chunk} are fastest, {made.seconds:.2f} s"
    )
