"""Where a server is: options that contradict each other, or hold a secret."""

from typing import Any

import pytest

from agentflow.errors import InputError
from agentflow.interop.mcp import Mcp
from agentflow.interop.mcp.words import Secrets, local_name, plain_text

KEY = "sk-live-value"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either `command`"),
        ({"command": ["x"], "url": "http://x/mcp"}, "either `command`"),
        ({"command": []}, "either `command`"),
        ({"command": ["x"], "api_key_env": "A"}, "for a `url`"),
        ({"command": ["x"], "env": [f"TOKEN={KEY}"]}, "names of environment variables"),
        ({"url": "ftp://x"}, "address of the server"),
        ({"url": "https://me:pw@x/mcp"}, "holds a login"),
        ({"url": f"https://x/mcp?api_key={KEY}"}, "looks like a secret"),
        ({"url": "http://example.com/mcp", "api_key_env": "A"}, "https only"),
        ({"url": "https://x/mcp", "headers": {"X-Key": KEY}}, "maps each header"),
        ({"url": "https://x/mcp", "headers": {"Host": {"env": "A"}}}, "cannot be set"),
        ({"url": "https://x/mcp", "headers": {"X-Key": {"env": KEY}}}, "names of environment"),
        ({"url": "https://x/mcp", "env": ["A"]}, "for a `command`"),
        ({"command": ["x"], "timeout_s": 0}, "more than 0"),
        ({"command": ["x"], "listed": [{"title": 3}]}, "as a run records it"),
        ({"command": ["x"], "nonsense": 1}, "nonsense"),
    ],
)
def test_wrong_options_are_one_line_without_a_secret(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Mcp.named("server", **options)
    assert KEY not in str(caught.value)


def test_text_from_a_server_keeps_its_lines_and_loses_what_hides() -> None:
    assert plain_text("a\r\nb\tc\x00\u202e\U000e0041d", 100) == "a\nb\tcd"
    assert plain_text("x" * 20, 5) == "xxxxx ... (cut: 20 characters)"


def test_a_long_name_stays_unique() -> None:
    first, second = local_name("a" * 90 + "1", 40), local_name("a" * 90 + "2", 40)
    assert first != second
    assert len(first) == 40


def test_secrets_are_taken_out_of_keys_and_values() -> None:
    hidden = Secrets({"A": "hunter22", "SHORT": "1"})
    assert hidden.data({"hunter22": ["x hunter22", 1]}) == {"[redacted:A]": ["x [redacted:A]", 1]}
