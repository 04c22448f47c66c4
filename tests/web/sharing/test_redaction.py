"""What is replaced is nowhere in the file, and what looks suspicious is told, masked."""

import json
from pathlib import Path
from typing import Any

import pytest
from agentflow_web.reading.contents import SHOWN_BYTES
from agentflow_web.sharing.findings import MOST_STEPS, Findings, masked

from agentflow import Journal
from agentflow.errors import RedactionError
from agentflow.journal.events import Expanded, Failure, Noted, RunStarted, StepFailed, StepStarted
from agentflow.journal.store import Store
from tests.web.reading.parts import Log
from tests.web.reading.test_pages import begun
from tests.web.sharing.parts import shared
from tests.web.sharing.test_bundle import ended, started

KEY = "sk-ant-" + "a1B2" * 8
CUSTOMER = "customer-4711"


def run_with(secret: str) -> list[Any]:
    """A run that has a secret wherever text can be."""
    settings = {"labels": {secret: secret}, "model": {"name": secret}}
    failure = Failure(name="ToolError", message=secret, trace=secret, facts={secret: [secret]})
    fields: dict[str, Any] = {
        "step": 1,
        "key": bytes(16),
        "parent": None,
        "kind": "model",
        "at": 2.0,
    }
    return [
        RunStarted(
            number=1, at=1.0, flow=secret, target=f"m:{secret}",
            input=json.dumps(secret).encode(), settings=settings,
        ),
        StepStarted(
            number=2, name=secret, input=json.dumps({secret: secret}).encode(),
            details={"model": secret, "parameters": {"stop": [secret]}, "other": secret}, **fields,
        ),
        Noted(number=3, at=3.0, step=1, text=secret, details={secret: secret}),
        Expanded(number=4, at=4.0, step=1, kind="program", content=secret.encode()),
        StepFailed(number=5, at=5.0, step=1, failure=failure),
    ]  # fmt: skip


@pytest.mark.parametrize("contents", [True, False])
@pytest.mark.parametrize(
    ("secret", "options"),
    [(KEY, {}), (CUSTOMER, {"redact": ["nothing", r"customer-\d+"]})],
)
def test_a_secret_is_nowhere_in_the_file(
    store: Store, build: Path, secret: str, options: dict[str, Any], contents: bool
) -> None:
    Log(store).write(*run_with(secret))
    with Journal(store.name) as journal:
        journal.annotate("r1", f"see {secret}", step=1, tag="tag")
    without = shared(store, "r1", build).everything
    assert (CUSTOMER in without) == (secret == CUSTOMER)
    found = shared(store, "r1", build, contents=contents, **options)
    assert secret not in found.everything
    assert found.client.steps[1].kind == found.steps[1]["kind"] == "model"
    (told,) = found.written.findings
    assert told["replaced"]
    assert told["rule"] == ("anthropic-key" if secret == KEY else r"customer-\d+")
    assert told["steps"] == [0, 1]
    assert secret not in json.dumps(told)
    assert found.written.suspicious == 0


def test_a_secret_of_the_environment_is_nowhere_in_the_file(
    store: Store, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'quote"back\\slash tab\tü'
    twice = json.dumps({"key": secret})
    Log(store).write(begun(1), started(2, 1, [f"x{secret}y", twice]), ended(3, 1, secret))
    assert "back" in shared(store, "r1", build).everything
    monkeypatch.setenv("SOME_API_KEY", secret)
    found = shared(store, "r1", build)
    assert "back" not in found.everything
    assert json.loads(found.steps[1]["input"]["text"])[0] == "x[redacted:SOME_API_KEY]y"
    assert found.written.findings[0]["rule"] == "SOME_API_KEY"


@pytest.mark.parametrize("place", range(0, 48, 6))
def test_a_secret_does_not_hide_in_a_cut(store: Store, build: Path, place: int) -> None:
    text = "x" * (SHOWN_BYTES - place) + f" {KEY} " + "y" * SHOWN_BYTES
    start = RunStarted(
        number=1, at=1.0, flow="f", target="m:f", input=json.dumps(text).encode(), settings={}
    )
    Log(store).write(start, started(2, 1, text))
    found = shared(store, "r1", build)
    assert "sk-ant" not in found.everything
    assert found.steps[1]["input"]["cut"]
    whole = json.loads(found.chunks["content:1:input:0"])
    assert whole == text.replace(KEY, "[redacted:anthropic-key]")
    assert found.steps[1]["input"]["bytes"] == len(whole) + 2


def test_a_rule_sees_text_as_it_is_meant_and_as_json_spells_it(store: Store, build: Path) -> None:
    Log(store).write(begun(1), started(2, 1, 'Name: "Ada"\nAge: 36'), ended(3, 1, {"age": 36}))
    rules = [r'"Ada"\nAge', r'"age": \d+', "^Name"]
    step = shared(store, "r1", build, redact=rules).steps[1]
    assert json.loads(step["input"]["text"]) == "[redacted:rule-3]: [redacted:rule-1]: 36"
    assert step["output"]["text"] == "{[redacted:rule-2]}"


def test_a_rule_reaches_the_shortest_text(store: Store, build: Path) -> None:
    Log(store).write(begun(1), started(2, 1, "Ada"), ended(3, 1, {"Ada": "Ada\n"}))
    found = shared(store, "r1", build, redact=["Ada"])
    assert "Ada" not in found.everything
    assert json.loads(found.steps[1]["output"]["text"]) == {
        "[redacted:rule-1]": "[redacted:rule-1]\n"
    }


@pytest.mark.parametrize("rule", ["(", "x*"])
def test_a_rule_that_cannot_be_one_is_refused(store: Store, build: Path, rule: str) -> None:
    Log(store).write(begun(1))
    with pytest.raises(RedactionError, match="rule-2"):
        shared(store, "r1", build, redact=["fine", rule])


SUSPICIOUS = {
    "e-mail address": ["write to ada.lovelace@example.org.", "<a+b@c-d.co.uk>"],
    "home directory": ["/home/ada/x", "C:\\\\Users\\\\Ada\\\\x", "/Users/ada", "in /root/.ssh"],
    "private network address": [
        "10.0.0.17:80", "http://192.168.1.1/", "172.31.255.1", "169.254.169.254", "fd00:1::2",
    ],
    "internal host name": ["db1.acme.internal:5432", "https://wiki.corp/x", "printer.local"],
    "password in an address": ["postgres://ada:hunter2@db/x"],
    "web token": [f"eyJ{'a' * 20}.{'b' * 20}.{'c' * 20}"],
    "named like a secret": [
        '{"password":"hunter2-hunter2"}', "DB_PASSWORD=hunter2hunter2", 'api_key = "abcdef123456"',
        '{\\"access_token\\": \\"abcdef123456\\"}', "secretKey: abcdef123456",
    ],
    "long hexadecimal value": ["0123456789abcdef" * 4],
    "long encoded value": ["aB3/" * 25 + "=="],
}  # fmt: skip
HARMLESS = [
    "see 11.0.0.17, 172.32.0.1, 192.169.1.1 and version 10.2.3",
    "path.to.module(local) and self.locale, threading.local()",
    "the token of my secret password is not told",
    "max_tokens: 4096, total_tokens=123456789",
    "a/very/long/path/of/words/that/goes/on/and/on/and/on/and/on/and/on/and/on/until/it/ends/here",
    "-" * 200,
    "x" * 500,
    "user@host, @decorator, a@b",
    "git 0123456789abcdef0123456789abcdef01234567",
    "https://example.org:8080/a@b",
    "password=[redacted:DB_PASSWORD]",
    "12:34:56 :: std::vector",
]


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in SUSPICIOUS.items() for text in texts]
)
def test_what_looks_suspicious_is_found_and_shown_masked(rule: str, text: str) -> None:
    findings = Findings()
    findings.look(3, f"before {text} after")
    told = {one["rule"]: one for one in findings.told()}
    assert rule in told
    one = told[rule]
    assert (one["count"], one["steps"], one["replaced"]) == (1, [3], False)
    assert len(one["examples"][0].partition(" (")[0]) <= len(text) / 2 + 2


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_is_not_found(text: str) -> None:
    findings = Findings()
    findings.look(1, text)
    assert findings.told() == []


def test_a_finding_keeps_the_first_steps_and_a_few_examples() -> None:
    findings = Findings()
    for step in range(100):
        findings.look(step, f"a{step}@example.org b{step}@example.org")
    (told,) = findings.told()
    assert told["count"] == findings.count == 200
    assert told["steps"] == list(range(MOST_STEPS))
    assert len(told["examples"]) <= 4


def test_only_what_is_in_the_file_is_found(store: Store, build: Path) -> None:
    Log(store).write(
        begun(1),
        started(2, 1, "ada@example.org"),
        started(3, 2, "bob@example.org and 10.0.0.1", up=1),
        started(4, 3, "x", up=1),
    )

    def told(**options: Any) -> dict[str, list[int]]:
        findings = shared(store, "r1", build, **options).written.findings
        return {one["rule"]: one["steps"] for one in findings}

    assert told() == {"e-mail address": [1, 2], "private network address": [2]}
    assert told(under=2) == {"e-mail address": [2], "private network address": [2]}
    assert told(under=3) == {}
    assert told(contents=False) == {}
    assert told(redact=[r"\w+@\w+\.org"]) == {
        r"\w+@\w+\.org": [1, 2],
        "private network address": [2],
    }


def test_a_mask_hides_two_thirds() -> None:
    assert masked("abcdefghijkl") == "ab…kl (12 characters)"
    assert masked("abc") == "…"
