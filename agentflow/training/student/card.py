"""The card of a trained model: everything known of it, as JSON for programs and as a page for people.

Owns `card.json` and `README.md`. Says nothing that was not measured, and nothing of the machine but its kind.
"""

from typing import Any

from agentflow.training.student.folder import (
    CARD,
    DATA,
    EVALUATION,
    README,
    TRAINING,
    StudentFolder,
)
from agentflow.training.student.recipe import Recipe, Transformer

FORMAT, VERSION = "agentflow-model-card", 1
LIMITS = """\
- It was trained from nothing on the conversations counted above and knows nothing else: no facts, no other tasks, no
  other wording of prompts.
- It is for prompts of the same form as its data. Anything else gets an answer that looks right and is not.
- Nobody has made it safe for talking with people."""


def write_card(recipe: Recipe, folder: StudentFolder) -> dict[str, Any]:
    """Write both files from the facts of the finished stages; return what `card.json` holds."""
    training, evaluation = folder.read(TRAINING), folder.read(EVALUATION)
    assert training is not None, "a card comes after the training"
    if evaluation is not None and (
        "rows" not in evaluation or evaluation["digest"] != training["digest"]
    ):
        evaluation = None  # not at its end, or of other weights
    card = {
        "format": FORMAT,
        "version": VERSION,
        "about": recipe.about,
        "recipe": recipe.without_places().model_dump(mode="json", by_alias=True, exclude_none=True),
        "data": folder.read(DATA),
        "training": training,
        "evaluation": evaluation,
    }
    folder.write(CARD, card)
    folder.write_text(README, _page(recipe, folder.path.resolve().name, card))
    return card


def _page(recipe: Recipe, name: str, card: dict[str, Any]) -> str:
    parts = [f"# {name}", recipe.about, _use(name), *_of_data(recipe, card["data"])]
    parts += [*_of_training(recipe, card["training"]), *_of_evaluation(card["evaluation"])]
    parts += ["## Limits", LIMITS]
    versions = ", ".join(f"{name} {said}" for name, said in card["training"]["versions"].items())
    return "\n\n".join(filter(None, [*parts, f"Made by `agentflow train` with {versions}."])) + "\n"


def _use(name: str) -> str:
    return (
        f"```console\nagentflow run task.yaml --model recurrent:./{name}\n"
        f"agentflow serve ./{name}\n```"
    )


def _of_data(recipe: Recipe, data: dict[str, Any]) -> list[str]:
    rows = [
        ("source", _source(recipe)),
        ("conversations", f"{data['conversations']:,}, {data['replies']:,} replies"),
        ("tokens", f"{data['tokens']:,}, of which {data['learnt_tokens']:,} are replies"),
        ("longest", f"{data['longest']:,} tokens"),
        ("digest", f"`{data['digest']}`"),
    ]
    if data["groups"]:
        said = ", ".join(f"{name} {count:,}" for name, count in data["groups"].items())
        rows.insert(2, ("groups", said))
    return ["## Data", _table(rows)]


def _of_training(recipe: Recipe, training: dict[str, Any]) -> list[str]:
    rows = [
        ("model", _architecture(recipe)),
        ("parameters", f"{training['parameters']:,}"),
        ("file", f"{training['bytes']:,} bytes, {training['precision']}"),
        ("steps", f"{training['steps']:,}, {training['tokens']:,} tokens with padding"),
        ("loss", f"{training['loss']:.4f} nats a token at the end"),
        ("time", f"{training['seconds']:,.0f} s on {training['hardware']}"),
        ("seed", str(training["seed"])),
        ("sha256", f"`{training['digest']}`"),
    ]
    if training["left_out"]:
        rows.append(("left out", f"{training['left_out']:,} conversations with no reply in reach"))
    return ["## Training", _table(rows)]


def _of_evaluation(evaluation: dict[str, Any] | None) -> list[str]:
    if evaluation is None:
        return ["## Evaluation", "It was not evaluated."]
    said = f"{evaluation['samples']:,} samples of {evaluation['suite']}"
    lines = [
        "| planner | solved | rate | score | tokens a sample | seconds, median |",
        "|---|---|---|---|---|---|",
    ]
    for row in evaluation["rows"]:
        cells = [
            row["planner"],
            f"{row['solved']} of {row['runs']}",
            _interval(row["rate"]),
            _interval(row["score"]),
            "" if row["tokens"] is None else f"{row['tokens']:,.0f}",
            "" if row["seconds"] is None else f"{row['seconds']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    about = f"{said}, seed {evaluation['seed']}. In brackets: 95 % intervals."
    return ["## Evaluation", about, "\n".join(lines)]


def _interval(found: dict[str, float] | None) -> str:
    if found is None:
        return ""
    return f"{found['estimate']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _source(recipe: Recipe) -> str:
    data = recipe.without_places().data
    if data.traces is not None:
        options = ", ".join(f"{name} {value}" for name, value in data.traces.options.items())
        return f"traces `{data.traces.use}`{f' ({options})' if options else ''}"
    return "a file of pairs" if data.pairs is not None else "runs of a journal"


def _architecture(recipe: Recipe) -> str:
    if isinstance(recipe.model, Transformer):
        sizes = recipe.model.transformer
        return f"transformer, {sizes.layers} layers, width {sizes.d_model}, {sizes.heads} heads"
    model = recipe.model
    return f"{' + '.join(model.layers)}, width {model.d_model}, {model.heads} heads"


def _table(rows: list[tuple[str, str]]) -> str:
    body = "\n".join(f"| {name} | {said} |" for name, said in rows)
    return f"| | |\n|---|---|\n{body}"
