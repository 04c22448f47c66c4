"""Read the one text in a pickle without unpickling it.

Owns the opcodes that a pickled `str` needs. Every other one, those that import, build or call above all,
is refused; nothing is ever executed, since the opcodes are only listed.
"""

import base64
import binascii
import pickletools
import zlib

MOST_BYTES = 512 << 20
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE")
_HARMLESS = ("PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP")


def read_packed_text(packed: str) -> str:
    """Return the text that was pickled, compressed and written in base 64.

    Raises:
        ValueError: It is something else, or larger than 512 MiB.
    """
    try:
        data = base64.b64decode(packed, validate=True)
        unpacker = zlib.decompressobj()
        pickled = unpacker.decompress(data, MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"it is not base 64 of compressed data: {error}") from error
    if unpacker.unconsumed_tail:
        raise ValueError(f"it has over {MOST_BYTES:,} bytes when unpacked")
    return read_pickled_text(pickled)


def read_pickled_text(pickled: bytes) -> str:
    """Return the text of a pickle that holds nothing but one.

    Raises:
        ValueError: It holds something else.
    """
    found: list[str] = []
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(pickled):
            end = position or 0
            if opcode.name in _TEXTS and isinstance(argument, str):
                found.append(argument)
            elif opcode.name not in _HARMLESS:
                raise ValueError(f"it is a pickle with {opcode.name}, not a plain text: refused")
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no pickle: {error}") from error
    if len(found) != 1 or end + 1 != len(pickled):
        raise ValueError(f"it is a pickle of {len(found)} texts, not one: refused")
    return found[0]
