"""The Idempotency-Key of a request: the same key, the same run."""

from starlette.requests import Request

from agentflow.interop.serving.refusals import bad

MOST_CHARACTERS = 255


def idempotency_key(request: Request) -> str | None:
    """Return the key that a client chose for its request; None if it chose none.

    Raises:
        Refusal: It is no key.
    """
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0]
    is_key = 0 < len(key) <= MOST_CHARACTERS and key.isascii() and key.isprintable()
    if len(given) > 1 or not is_key or not key.strip():
        problem = f"give one, of 1 to {MOST_CHARACTERS} printable ASCII characters"
        raise bad("Idempotency-Key", problem)
    return key
