"""What a model is made from: data, tokenizer, sizes, training, and how it is tried.

Owns the schema of a recipe, version 1. Knows no file and no torch: a recipe can be checked where neither is at hand.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from agentflow.budget import Budget
from agentflow.recurrent.mixers.config import MixerSizes
from agentflow.recurrent.mixers.descent import Descent, TrainingOptions
from agentflow.training.collect import Filters
from agentflow.training.student.transformer_config import TransformerSizes

VERSION = 1
MARK = "agentflow_recipe"
Precision = Literal["fp32", "fp16", "bf16"]
SMALLEST_VOCABULARY = 261  # all bytes and the control tokens


class Part(BaseModel):
    """Base of the parts of a recipe: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Traces(BaseModel):
    """A source of conversations by its name (entry points `agentflow.traces`), and its options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    use: str = Field(min_length=1)

    @property
    def options(self) -> dict[str, Any]:
        """What the source is given."""
        return dict(self.model_extra or {})


class JournalRuns(Filters):
    """Runs of a journal, filtered as by `agentflow pairs`; `runs` none means all."""

    path: str = Field(min_length=1)
    runs: tuple[str, ...] = ()

    @property
    def filters(self) -> Filters:
        """The filters alone."""
        return Filters(**self.model_dump(include=set(Filters.model_fields)))


class DataPart(Part):
    """Where conversations come from; exactly one is given."""

    traces: Traces | None = None
    pairs: str | None = Field(default=None, min_length=1)
    journal: JournalRuns | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(source is not None for source in (self.traces, self.pairs, self.journal)) != 1:
            raise ValueError("name one source: traces, pairs or journal")
        return self


class TokenizerPart(Part):
    """How many entries the tokenizer may have, and how many phrases and words of the data are a token each beside them.

    With `words` all other words are spelled, so that one that nobody has met is read as any other of these. A number is read
    in pieces of so many `digits`: more make numbers easier to copy and harder to reckon with.
    """

    vocabulary: int = Field(default=1024, ge=SMALLEST_VOCABULARY, le=1 << 17)
    phrases: int = Field(default=0, ge=0, le=1 << 14)
    words: int = Field(default=0, ge=0, le=1 << 14)
    digits: int = Field(default=1, ge=1, le=3)


class Transformer(Part):
    """A transformer, to compare with."""

    transformer: TransformerSizes


def _kind_of_model(given: Any) -> str:
    has_key = isinstance(given, dict) and "transformer" in given
    return "transformer" if has_key or isinstance(given, Transformer) else "mixers"


ModelPart = Annotated[
    Annotated[MixerSizes, Tag("mixers")] | Annotated[Transformer, Tag("transformer")],
    Discriminator(_kind_of_model),
]


class TrainingPart(Descent):
    """How it is trained: for `steps`, or for about so many `tokens`, padding included.

    `batch_tokens` of a batch include padding. A conversation is read up to `longest` tokens.
    """

    steps: int | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    batch_tokens: int = Field(default=8192, ge=2)
    longest: int = Field(default=4096, ge=2)

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if (self.steps is None) == (self.tokens is None):
            raise ValueError("say how long: steps or tokens")
        return self

    def options(self, steps: int) -> TrainingOptions:
        """Return the options of a training of so many steps."""
        return TrainingOptions(steps=steps, **self.model_dump(include=set(Descent.model_fields)))


class EvaluationPart(Part):
    """What the model is tried on; the same words as `agentflow eval` takes.

    Attributes:
        suite: An installed suite, a folder or FILE.py:CLASS.
        options: Of the suite.
        planner: One or more, as `--planner` takes them.
        samples: How many of them; None: all.
        skip: Samples left out at the beginning.
        shuffle: Draw the order with the recipe's seed first.
        repeat: Runs of each sample.
        at_once: Runs under way at the same time; None: as many as the model allows.
        budget: Of one sample.
    """

    suite: str = Field(min_length=1)
    options: dict[str, Any] = {}
    planner: str = Field(default="direct", min_length=1)
    samples: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)
    shuffle: bool = False
    repeat: int = Field(default=1, ge=1)
    at_once: int | None = Field(default=None, ge=1)
    budget: Budget = Budget()


class Recipe(Part):
    """A model from data to card."""

    version: Literal[1] = Field(default=1, alias=MARK)
    about: str = Field(default="", max_length=300)
    data: DataPart
    tokenizer: TokenizerPart = TokenizerPart()
    model: ModelPart
    training: TrainingPart
    precision: Precision = "fp16"
    seed: int = Field(default=0, ge=0, lt=1 << 31)
    evaluation: EvaluationPart | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.model, Transformer):
            context = self.model.transformer.context
            if self.training.longest > context:
                raise ValueError(
                    f"training.longest {self.training.longest} is more than the transformer's context {context}"
                )
        return self

    def made_from(self) -> dict[str, Any]:
        """Return what the weights depend on; the rest may change without training again."""
        return self.model_dump(
            mode="json", include={"data", "tokenizer", "model", "training", "seed"}
        )

    def without_places(self) -> "Recipe":
        """Return the recipe as it may be given away: of absolute paths and addresses only the last part is left."""
        data = self.model_dump(mode="json")
        return Recipe.model_validate(
            data | {name: _without_places(data[name]) for name in ("data", "evaluation")}
        )

    def changed(self, *, steps: int | None = None, seed: int | None = None) -> "Recipe":
        """Return the recipe with another number of steps or another seed."""
        data = self.model_dump()
        if steps is not None:
            data["training"] |= {"steps": steps, "tokens": None}
        if seed is not None:
            data["seed"] = seed
        return Recipe.model_validate(data)


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_places(inner) for inner in value]
    is_place = isinstance(value, str) and (value.startswith(("/", "~")) or "://" in value)
    return value.rstrip("/").rpartition("/")[2] if is_place else value
