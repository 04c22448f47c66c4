"""What uses too much is stopped, is called by its name, and costs the other calls nothing."""

import pytest

from agentflow.sandbox.workers.pool import TrialWorkers
from agentflow.sandbox.workers.protocol import Trial, TrialLimits
from tests.agentflow.sandbox.workers.parts import SHORT, observe, outcomes

pytestmark = pytest.mark.anyio

LONG = TrialLimits(call_s=30.0, total_s=60.0)  # so that it is not the time that ends it
EXCESSES = {
    "an endless loop": ("while True: pass", {"timeout"}),
    "a loop that catches everything": (
        """for s in range(1, 65):
        try: signal.signal(s, signal.SIG_IGN)
        except BaseException: pass
    while True:
        try:
            while True: pass
        except BaseException: pass""",
        {"timeout"},
    ),
    "a switched-off alarm": ("signal.setitimer(signal.ITIMER_REAL, 0)\n    while True: pass", {"timeout"}),
    "sleep": ("time.sleep(60)", {"timeout"}),
    "a coroutine that waits": ("return asyncio.sleep(60)", {"timeout"}),
    "a lock that nobody opens": ("lock = threading.Lock(); lock.acquire(); lock.acquire()", {"timeout"}),
    "a slow pattern": ("re.match('(a+)+$', 'a' * 40 + 'b')", {"timeout"}),
    "a huge number": ("return str(7 ** 5_000_000)", {"timeout", "raised"}),
    "a huge power": ("return 9 ** 9 ** 9", {"timeout", "memory"}),
    "a generator that never yields": ("return iter(int, 1) if 0 else (i for i in iter(int, 1) if i)", {"timeout"}),
    "a long list": ("return [0] * 10**10", {"memory"}),
    "memory piece by piece": ("x = []\n    while True: x.append(bytearray(1 << 20))", {"memory"}),
    "a long text": ("return 'x' * 10**7", {"too_large"}),
    "a long number": ("return 1 << 10**8", {"too_large"}),
    "many items": ("return list(range(10**6))", {"too_large"}),
    "what grows when it is written": ("a = []\n    for _ in range(40): a = [a, a]\n    return a", {"too_large"}),
    "a grown argument": ("x.extend(range(10**6))", {"too_large"}),
    "recursion": ("return f(x)", {"raised"}),
    "recursion without a limit": ("sys.setrecursionlimit(10**9)\n    return f(x)", {"memory", "timeout", "crashed"}),
    "recursion in C": (
        "sys.setrecursionlimit(10**9)\n    a = []\n    for _ in range(10**6): a = [a]\n    return repr(a)",
        {"memory", "timeout", "crashed", "raised"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "allowed"), EXCESSES.values(), ids=EXCESSES.keys())
async def test_an_excess_is_typed_and_the_calls_around_it_are_kept(
    workers: TrialWorkers, body: str, allowed: set[str]
) -> None:
    source = f"""
import asyncio, re, signal, sys, threading, time
def f(x):
    {body}
def g(): return 1
"""
    limits = SHORT if "timeout" in allowed else LONG
    before, excess, after = await observe(workers, source, "g()", "f([])", "g()", limits=limits)
    assert (before.value, after.value) == (1, 1)
    assert excess.outcome in allowed
    assert excess.value is None


async def test_output_is_cut_at_its_limit(workers: TrialWorkers) -> None:
    source = """
import sys
def f():
    for _ in range(300): sys.stdout.write("x" * (1 << 20))
    return 1
"""
    limits = TrialLimits(stdout_bytes=1000, call_s=10.0)
    (seen,) = await observe(workers, source, "f()", limits=limits)
    assert (seen.value, seen.stdout) == (1, "x" * 1000)


async def test_the_limits_are_those_of_the_trial(workers: TrialWorkers) -> None:
    source = "def f(x): return 'y' * x\ndef g(x): return len(bytearray(x))"
    limits = TrialLimits(value_bytes=100, memory_bytes=200 << 20)
    seen = await observe(
        workers, source, "f(80)", "f(101)", "g(1 << 20)", "g(200 << 20)", limits=limits
    )
    assert outcomes(seen) == ["returned", "too_large", "returned", "memory"]


async def test_all_calls_together_have_a_limit_too(workers: TrialWorkers) -> None:
    limits = TrialLimits(call_s=0.2, total_s=0.5)
    seen = await observe(workers, "def f():\n    while True: pass", *["f()"] * 20, limits=limits)
    assert outcomes(seen) == ["timeout"] * 20


async def test_an_excess_does_not_hold_up_the_next_trial(workers: TrialWorkers) -> None:
    hungry = Trial(source="def f(): return [0] * 10**10", calls=("f()",) * 5)
    assert outcomes((await workers.observe(hungry)).observations) == ["memory"] * 5
    assert (await observe(workers, "def f(): return 1", "f()"))[0].value == 1


def test_there_is_no_way_to_say_no_limit() -> None:
    for wrong in (0, -1, float("inf"), float("nan"), None):
        with pytest.raises(ValueError, match="call_s"):
            TrialLimits.model_validate({"call_s": wrong})
