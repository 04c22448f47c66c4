"""Inputs and outputs as cells of the table `events`.

Owns the encoding and nothing else. Short content stands in the cell itself; longer content is a
payload named by its hash, so that equal content is stored once; content that its maker cut into
parts (a conversation into messages) is a list of such names, so that the next turn of the
conversation stores only what is new.
"""

import hashlib
from collections.abc import Callable, Sequence

Payloads = dict[bytes, bytes]
Fetch = Callable[[bytes], bytes]

HASH_BYTES = 16
INLINE_BYTES = 512
INLINE, _HASHED, _PARTS = b"=", b"#", b"+"


class Parts(bytes):
    """Bytes that know where they are cut: `cuts` are offsets, ascending, without 0 and the end."""

    cuts: tuple[int, ...] = ()

    @classmethod
    def joined(cls, parts: Sequence[bytes]) -> "Parts":
        """Return the concatenation of `parts`, cut between them."""
        whole = cls(b"".join(parts))
        end, cuts = 0, []
        for part in parts[:-1]:
            end += len(part)
            cuts.append(end)
        whole.cuts = tuple(cuts)
        return whole


def payload_hash(data: bytes) -> bytes:
    """Return the 16-byte name of a payload."""
    return hashlib.blake2b(data, digest_size=HASH_BYTES).digest()


def pack(data: bytes, payloads: Payloads) -> bytes:
    """Return the cell that stands for `data`; what does not fit into it is added to `payloads`."""
    if len(data) <= INLINE_BYTES:
        return INLINE + data
    cuts = data.cuts if isinstance(data, Parts) else ()
    if not cuts:
        return _HASHED + _keep(data, payloads)
    edges = zip((0, *cuts), (*cuts, len(data)), strict=True)
    return _PARTS + b"".join(_keep(bytes(data[start:end]), payloads) for start, end in edges)


def unpack(cell: bytes, fetch: Fetch) -> bytes:
    """Return what `pack` was given; `fetch` gives payloads by name."""
    mark, rest = cell[:1], bytes(cell[1:])
    if mark == INLINE:
        return rest
    return b"".join(fetch(name) for name in names_in(cell))


def names_in(cell: bytes) -> list[bytes]:
    """Return the names of the payloads a cell refers to.

    Raises:
        ValueError: It is no cell of ours.
    """
    mark, rest = cell[:1], bytes(cell[1:])
    if mark == INLINE:
        return []
    if mark not in (_HASHED, _PARTS) or len(rest) % HASH_BYTES:
        raise ValueError(f"unreadable content {bytes(cell[:20])!r}")
    return [rest[start : start + HASH_BYTES] for start in range(0, len(rest), HASH_BYTES)]


def _keep(data: bytes, payloads: Payloads) -> bytes:
    name = payload_hash(data)
    payloads[name] = bytes(data)
    return name
