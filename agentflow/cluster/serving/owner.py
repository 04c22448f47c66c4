"""What replicas ask whether there is still somebody whom they serve.

Owns nothing: it is an actor that Ray ends with the process that has the address, however that ends.
"""


class Owner:
    """Lives as long as the process that has started it."""

    async def is_there(self) -> bool:
        """Return that it is."""
        return True
