import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agentflow.recurrent.requests import Sampling
from agentflow.recurrent.sampling import LogitsError, Sampler, pick_all

HOT = Sampling(temperature=1.0, seed=7)
FAIR = torch.tensor([0.1, 0.2, 0.3, 0.4]).log()


def drawn(sampling: Sampling, logits: torch.Tensor, count: int = 200) -> list[int]:
    sampler = Sampler(sampling)
    return [sampler.pick(logits).token for _ in range(count)]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert drawn(Sampling(), FAIR, 5) == [3] * 5


def test_draws_follow_the_probabilities() -> None:
    tokens = drawn(HOT, FAIR, 4000)
    for token, chance in enumerate((0.1, 0.2, 0.3, 0.4)):
        # Five standard deviations, at a fixed seed.
        assert abs(tokens.count(token) / 4000 - chance) < 5 * math.sqrt(
            chance * (1 - chance) / 4000
        )


def test_temperature_sharpens_and_no_low_one_overflows() -> None:
    assert drawn(Sampling(temperature=1e-300, seed=1), FAIR, 50) == [3] * 50
    warm = drawn(Sampling(temperature=0.5, seed=1), FAIR, 2000)
    assert abs(warm.count(3) / 2000 - 16 / 30) < 0.06


@given(seed=st.integers(-(2**63), 2**64), rows=st.integers(1, 5), data=st.data())
def test_same_seed_and_logits_give_the_same_tokens_whatever_the_batch(
    seed: int, rows: int, data: st.DataObject
) -> None:
    top_k, top_p = data.draw(st.sampled_from([(0, 1.0), (5, 1.0), (0, 0.7), (9, 0.5)]))
    sampling = Sampling(temperature=0.9, seed=seed, top_k=top_k, top_p=top_p)
    place = data.draw(st.integers(0, rows - 1))
    noise = torch.Generator().manual_seed(0)
    alone, among = Sampler(sampling), Sampler(sampling)
    others = [
        among if row == place else Sampler(HOT if row % 2 else Sampling()) for row in range(rows)
    ]
    for _ in range(5):
        logits = torch.randn(rows, 50, generator=noise)
        expected = alone.pick(logits[place].clone())
        assert pick_all(logits, others, [None] * rows)[place] == expected


def test_different_seeds_give_different_tokens() -> None:
    logits = torch.zeros(1000)
    assert drawn(HOT, logits, 10) != drawn(Sampling(temperature=1.0, seed=8), logits, 10)
    unseeded = Sampling(temperature=1.0)
    assert drawn(unseeded, logits, 10) != drawn(unseeded, logits, 10)


def test_top_k_leaves_the_k_likeliest() -> None:
    assert set(drawn(Sampling(temperature=9.0, seed=1, top_k=2), FAIR)) == {2, 3}
    assert set(drawn(Sampling(temperature=9.0, seed=1, top_k=99), FAIR)) == {0, 1, 2, 3}


def test_top_p_leaves_the_fewest_that_reach_it_and_at_least_one() -> None:
    assert set(drawn(Sampling(temperature=1.0, seed=1, top_p=0.65), FAIR)) == {2, 3}
    assert set(drawn(Sampling(temperature=1.0, seed=1, top_p=1e-9), FAIR)) == {3}


@given(st.lists(st.booleans(), min_size=2, max_size=20).filter(any), st.floats(0.01, 1.0))
def test_forbidden_token_is_never_picked(allowed: list[bool], top_p: float) -> None:
    logits = torch.tensor([0.0 if one else -math.inf for one in allowed])
    for sampling in (Sampling(), Sampling(temperature=2.0, seed=3, top_p=top_p, top_k=3)):
        assert all(allowed[token] for token in drawn(sampling, logits, 20))


def test_probabilities_are_those_before_temperature_and_grammar() -> None:
    sampler = Sampler(Sampling(temperature=0.1, seed=1, top_k=1))
    constrained = FAIR.clone()
    constrained[3] = -math.inf
    pick = sampler.pick(FAIR, 2, constrained=constrained)
    assert pick.token == 2
    assert pick.logprob == pytest.approx(math.log(0.3))
    assert [one.token for one in pick.top] == [3, 2]
    assert [one.logprob for one in pick.top] == pytest.approx([math.log(0.4), math.log(0.3)])


def test_alternatives_none_tells_nothing_and_zero_only_the_tokens_own() -> None:
    sampler = Sampler(Sampling())
    assert (sampler.pick(FAIR).logprob, sampler.pick(FAIR).top) == (None, ())
    assert sampler.pick(FAIR, 0).logprob == pytest.approx(math.log(0.4))
    assert sampler.pick(FAIR, 0).top == ()
    assert len(sampler.pick(FAIR, 99).top) == 4


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_broken_logits_are_an_error_that_names_the_rows_and_draws_nothing(broken: float) -> None:
    logits = FAIR.repeat(3, 1)
    logits[1, 0] = broken
    samplers = [Sampler(HOT) for _ in range(3)]
    with pytest.raises(LogitsError, match="NaN or infinite") as caught:
        pick_all(logits, samplers, [None] * 3)
    assert caught.value.rows == (1,)
    assert [s.pick(FAIR) for s in samplers] == [Sampler(HOT).pick(FAIR)] * 3


def test_row_without_an_allowed_token_is_an_error() -> None:
    with pytest.raises(LogitsError, match="every token is forbidden"):
        Sampler(HOT).pick(torch.full((4,), -math.inf))


@pytest.mark.parametrize(
    ("sampling", "problem"),
    [
        (Sampling(temperature=-1), "temperature"),
        (Sampling(temperature=math.nan), "temperature"),
        (Sampling(top_p=0), "top_p"),
        (Sampling(top_p=1.1), "top_p"),
        (Sampling(top_k=-1), "top_k"),
    ],
)
def test_senseless_sampling_is_refused(sampling: Sampling, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem} must be"):
        Sampler(sampling)


def test_reduced_precision_logits_can_be_sampled() -> None:
    for kind in (torch.bfloat16, torch.float16):
        assert set(drawn(Sampling(temperature=1.0, seed=1, top_p=0.9), FAIR.to(kind))) <= {
            0,
            1,
            2,
            3,
        }
