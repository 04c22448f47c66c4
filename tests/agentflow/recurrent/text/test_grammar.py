import json
import re
import threading
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.recurrent.text.grammar import Grammar, Grammars, Matcher
from agentflow.recurrent.text.tokenizer import Tokenizer

PLAN = {
    "type": "object",
    "properties": {
        "goal": {"type": "string", "maxLength": 12},
        "steps": {
            "type": "array",
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "tool": {"enum": ["read", "write", "é"]},
                    "count": {"type": "integer", "minimum": -5, "maximum": 120},
                    "sure": {"type": ["boolean", "null"]},
                },
                "required": ["tool"],
                "additionalProperties": False,
            },
        },
        "score": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["goal", "steps"],
    "additionalProperties": False,
}
CHOICE = {"anyOf": [{"const": "yes"}, {"type": "array", "items": {"const": 1}, "maxItems": 2}]}
GBNF = 'root ::= "go " place ("," " " place)?\nplace ::= "north" | "s" [aou]+ "th"\n'


@pytest.fixture(scope="module")
def grammars(tokenizer: Tokenizer) -> Grammars:
    return Grammars(tokenizer)


def walk(
    tokenizer: Tokenizer, matcher: Matcher, seed: int, size: int, *, most: int = 2000
) -> tuple[list[int], str]:
    """Follow random logits under the mask to an end token."""
    random = torch.Generator().manual_seed(seed)
    tokens: list[int] = []
    for _ in range(most):
        logits = matcher.mask(3 * torch.randn(size, generator=random))
        token = int(logits.argmax())
        matcher.accept(token)
        if token in tokenizer.end_tokens:
            return tokens, tokenizer.decode(tokens)
        tokens.append(token)
    raise AssertionError(f"no end after {most} tokens: {tokenizer.decode(tokens)}")


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), more=st.integers(0, 70), schema=st.sampled_from([PLAN, CHOICE]))
def test_random_walk_under_the_mask_writes_a_document_that_the_schema_accepts(
    tokenizer: Tokenizer, grammars: Grammars, seed: int, more: int, schema: dict[str, Any]
) -> None:
    matcher = grammars.json_schema(schema).matcher()
    _, text = walk(tokenizer, matcher, seed, tokenizer.vocabulary_size + more)
    jsonschema.validate(json.loads(text), schema)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_other_tokenizers_keep_to_a_schema_too(
    llama: Tokenizer, thinking: Tokenizer, seed: int
) -> None:
    for one in (llama, thinking):
        matcher = Grammars(one).json_schema(CHOICE).matcher()
        _, text = walk(one, matcher, seed, one.vocabulary_size + 1)
        jsonschema.validate(json.loads(text), CHOICE)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_regex_lark_and_gbnf_are_kept(tokenizer: Tokenizer, grammars: Grammars, seed: int) -> None:
    size = tokenizer.vocabulary_size
    _, text = walk(tokenizer, grammars.regex(r"[a-c]{2,5}-[0-9]+").matcher(), seed, size)
    assert re.fullmatch(r"[a-c]{2,5}-[0-9]+", text)
    _, text = walk(tokenizer, grammars.lark('start: "x" start "y" | "!"').matcher(), seed, size)
    assert re.fullmatch("x*!y*", text)
    assert text.count("x") == text.count("y")
    _, text = walk(tokenizer, grammars.gbnf(GBNF).matcher(), seed, size)
    assert re.fullmatch("go (north|s[aou]+th)(, (north|s[aou]+th))?", text)


def test_only_end_tokens_are_left_when_a_grammar_is_over(
    tokenizer: Tokenizer, grammars: Grammars
) -> None:
    matcher = grammars.regex("yes").matcher()
    for token in tokenizer.encode("yes"):
        assert not matcher.is_over
        matcher.accept(token)
    assert matcher.is_over
    left = matcher.mask(torch.zeros(900)).isfinite().nonzero().flatten().tolist()
    assert left == sorted(tokenizer.end_tokens)
    assert matcher.forced() == []
    matcher.accept(2)
    assert matcher.is_over
    with pytest.raises(ValueError, match="does not allow"):
        matcher.accept(tokenizer.encode("y")[0])


def test_every_end_token_may_end_it(tokenizer: Tokenizer) -> None:
    several = Tokenizer(tokenizer._loaded, frozenset({0, 2}))
    for end in (0, 2):
        matcher = Grammars(several).regex("a+").matcher()
        with pytest.raises(ValueError, match="does not allow"):
            matcher.accept(end)
        matcher.accept(several.encode("a")[0])
        assert matcher.mask(torch.zeros(600))[[0, 2]].tolist() == [0.0, 0.0]
        matcher.accept(end)
        assert matcher.is_over


def test_refused_token_leaves_the_matcher_where_it_was(
    tokenizer: Tokenizer, grammars: Grammars
) -> None:
    matcher = grammars.regex("ab").matcher()
    matcher.accept(tokenizer.encode("a")[0])
    with pytest.raises(ValueError, match="does not allow"):
        matcher.accept(tokenizer.encode("z")[0])
    matcher.accept(tokenizer.encode("b")[0])
    assert matcher.is_over


def test_copies_go_their_own_ways(tokenizer: Tokenizer, grammars: Grammars) -> None:
    one = grammars.regex("ab|ac").matcher()
    one.accept(tokenizer.encode("a")[0])
    other = one.copy()
    one.accept(tokenizer.encode("b")[0])
    assert (one.is_over, other.is_over) == (True, False)
    other.accept(tokenizer.encode("c")[0])
    assert one.copy().is_over


def test_forced_tokens_are_what_must_come(tokenizer: Tokenizer, grammars: Grammars) -> None:
    schema = {
        "type": "object",
        "properties": {"a_long_name_that_is_forced": {"type": "boolean"}},
        "required": ["a_long_name_that_is_forced"],
        "additionalProperties": False,
        "x-guidance": {"whitespace_flexible": False},
    }
    matcher = grammars.json_schema(schema).matcher()
    tokens = matcher.forced()
    assert '{"a_long_name_that_is_fo' in tokenizer.decode(tokens)
    for token in tokens:
        assert matcher.mask(torch.zeros(600))[token] == 0
        matcher.accept(token)


def test_space_in_json_comes_to_an_end(tokenizer: Tokenizer, grammars: Grammars) -> None:
    matcher = grammars.json_schema(PLAN).matcher()
    matcher.accept(tokenizer.encode("{")[0])
    newline = tokenizer.encode("\n")[0]
    for _ in range(32):
        matcher.accept(newline)
    assert matcher.mask(torch.zeros(600))[newline] == -torch.inf


def test_mask_changes_neither_the_given_logits_nor_those_allowed(
    tokenizer: Tokenizer, grammars: Grammars
) -> None:
    logits = torch.randn(tokenizer.vocabulary_size + 64)
    kept = logits.clone()
    masked = grammars.json_schema(PLAN).matcher().mask(logits)
    assert torch.equal(logits, kept)
    is_in = masked.isfinite()
    assert torch.equal(masked[is_in], logits[is_in])
    assert not is_in[tokenizer.vocabulary_size :].any()


def test_model_without_an_allowed_token_is_told(tokenizer: Tokenizer, grammars: Grammars) -> None:
    with pytest.raises(ValueError, match="allows no token that the model has"):
        grammars.regex("a").matcher().mask(torch.zeros(3))


def test_same_content_is_compiled_once(grammars: Grammars) -> None:
    assert grammars.json_schema(PLAN) is grammars.json_schema(dict(PLAN))
    assert grammars.regex("a") is not grammars.lark('start: "a"')


def test_order_of_properties_is_that_of_the_schema(
    tokenizer: Tokenizer, grammars: Grammars
) -> None:
    def schema(*names: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {n: {"const": 1} for n in names},
            "required": list(names),
        }

    matcher = grammars.json_schema(schema("b", "a") | {"additionalProperties": False}).matcher()
    for token in tokenizer.encode('{"b":1,"a":1}'):
        matcher.accept(token)
    assert matcher.is_over


@pytest.mark.parametrize(
    ("kind", "content", "problem"),
    [
        ("json_schema", {"type": "objekt"}, "^JSON schema: .*objekt"),
        ("json_schema", {"type": "array", "uniqueItems": True}, "^JSON schema: .*uniqueItems"),
        ("json_schema", {"a": {1, 2}}, "^JSON schema: .*set"),
        ("json_schema", {"$ref": "#/nowhere"}, "^JSON schema: "),
        ("json_schema", {"$ref": "https://example.org/x.json"}, "^JSON schema: "),
        ("regex", "(a", "^regex: .*unclosed group"),
        ("lark", "start: foo", "^Lark grammar: .*unknown name"),
        ("lark", "x" * 600_000, "^Lark grammar: has 600000 characters"),
        ("gbnf", 'root ::= "a', "^GBNF grammar: "),
        ("gbnf", "root ::= " + "(" * 5000, "^GBNF grammar: "),
    ],
)
def test_wrong_grammar_is_told_in_one_short_line(
    grammars: Grammars, kind: str, content: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        getattr(grammars, kind)(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_model_without_an_end_token_cannot_be_constrained(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="needs a model with an end token"):
        Grammars(Tokenizer(tokenizer._loaded)).regex("a")


def test_matchers_are_made_by_many_threads(tokenizer: Tokenizer, grammars: Grammars) -> None:
    ended: list[str] = []

    def follow(grammar: Grammar, seed: int) -> None:
        ended.append(walk(tokenizer, grammar.matcher(), seed, 520)[1])

    grammar = grammars.json_schema(CHOICE)
    threads = [threading.Thread(target=follow, args=(grammar, seed)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 8
