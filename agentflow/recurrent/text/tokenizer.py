"""The tokenizer of a model: text to ids and back, and the model's chat template.

Owns what a folder's tokenizer files and configurations say. Knows no prompts and no model. No code of a folder is run,
but its template, in a sandbox. Text that is encoded never becomes a control token; see `encoder`.
"""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jinja2
import tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from agentflow.errors import WeightsError
from agentflow.recurrent.quiet import quiet_transformers
from agentflow.recurrent.text.encoder import Encoder

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokenizer:
    """A model's tokenizer. Thread-safe.

    Attributes:
        encoder: Encodes marked text, for those who place control tokens themselves.
        special: Ids that decoding leaves out.
        end_tokens: Ids that end a reply, as the folder says it. May be empty.
        beginning: Ids that a text by itself begins with.
        vocabulary_size: One more than the greatest id; logits may have more.
        is_byte_level: Whether each token stands for bytes whatever its neighbours are; see `token_bytes`.
        description: All of it as the JSON of the `tokenizers` library.
    """

    def __init__(self, loaded: Any, end_tokens: frozenset[int] = frozenset()) -> None:
        """Take a fast tokenizer of transformers."""
        self._loaded = loaded
        backend = tokenizers.Tokenizer.from_str(loaded.backend_tokenizer.to_str())
        backend.no_padding()
        backend.no_truncation()
        self._backend = backend
        self.description: str = backend.to_str()
        self.encoder = Encoder(self.description)
        self.special = self.encoder.special
        self.end_tokens = end_tokens
        vocabulary = backend.get_vocab(with_added_tokens=True)
        self.vocabulary_size: int = max(vocabulary.values(), default=-1) + 1
        decoder = json.loads(self.description)["decoder"]
        self.is_byte_level = bool(decoder) and _steps(decoder) == ["ByteLevel"]
        self._falls_back = bool(decoder) and "ByteFallback" in _steps(decoder)
        self._letters = _bytes_of_letters()
        self._bytes: dict[int, bytes] = {}
        self._added = set(backend.get_added_tokens_decoder())
        self.beginning = self._beginning()

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the tokenizer of a model folder (or a name that transformers finds).

        Raises:
            WeightsError: There is none, or none that the `tokenizers` library can read.
        """
        loaded = _loaded(str(folder))
        if not hasattr(loaded, "backend_tokenizer"):
            problem = (
                "its tokenizer is not a fast one (no tokenizer.json); convert it with transformers"
            )
            raise WeightsError(model=str(folder), problem=problem)
        found = cls(loaded)
        control = frozenset(found.encoder.control.values())
        found.end_tokens = _end_tokens(Path(folder), loaded.eos_token_id, control)
        return found

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        return bool(self._loaded.chat_template)

    @property
    def template(self) -> str:
        """The source of the chat template, all of them if there are several; empty if there is none."""
        found = self._loaded.chat_template or ""
        return found if isinstance(found, str) else "\n".join(found.values())

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text without any control token, and without a beginning."""
        return self.encoder.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; special tokens and ids beyond the vocabulary have none."""
        return str(self._backend.decode(list(ids), skip_special_tokens=True))

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token.

        Joined they are those of the text where `is_byte_level`; elsewhere they are what the token says by itself.
        """
        found = self._bytes.get(token)
        if found is None:
            found = self._bytes[token] = self._read_bytes(token)
        return found

    def is_byte(self, token: int) -> bool:
        """Return whether a token is one byte of a character that the vocabulary has not."""
        return self._falls_back and bool(_BYTE.fullmatch(self._backend.id_to_token(token) or ""))

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        *,
        add_reply: bool,
    ) -> str:
        """Return what the chat template writes.

        Raises:
            ValueError: The template refuses these messages.
        """
        try:
            text = self._loaded.apply_chat_template(
                [dict(message) for message in messages],
                tools=[dict(tool) for tool in tools] if tools else None,
                tokenize=False,
                add_generation_prompt=add_reply,
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            problem = f"{error}".partition("\n")[0]
            raise ValueError(
                f"the model's chat template refuses these messages: {problem}"
            ) from error
        assert isinstance(text, str)
        return text

    def _beginning(self) -> tuple[int, ...]:
        bare = self._backend.encode("a", add_special_tokens=False).ids
        whole = self._backend.encode("a").ids
        for at in range(len(whole) - len(bare) + 1):
            if whole[at : at + len(bare)] == bare:
                return tuple(whole[:at])
        return ()

    def _read_bytes(self, token: int) -> bytes:
        piece = self._backend.id_to_token(token)
        if piece is None or token in self.special:
            return b""
        if self.is_byte_level and all(letter in self._letters for letter in piece):
            return bytes(self._letters[letter] for letter in piece)
        if byte := _BYTE.fullmatch(piece):
            return bytes([int(byte[1], 16)])
        return piece.encode() if token in self._added else piece.replace("▁", " ").encode()


def _loaded(folder: str) -> Any:
    """Return transformers' tokenizer of a folder; without a known kind of model, what its tokenizer.json says."""
    try:
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the library raises bare Exceptions for broken files
        if (Path(folder) / "tokenizer.json").is_file():
            with contextlib.suppress(Exception):
                return PreTrainedTokenizerFast.from_pretrained(folder)
        problem = f"its tokenizer cannot be read: {str(error).partition(chr(10))[0]}"
        raise WeightsError(model=folder, problem=problem) from error


def _end_tokens(folder: Path, own: int | None, control: frozenset[int]) -> frozenset[int]:
    """Return the ids that end a reply: of generation_config.json or else config.json, and the tokenizer's own.

    A configuration's default may name any id, so of its ids only control tokens count.
    """
    said = _said(folder / "generation_config.json") or _said(folder / "config.json")
    return (said & control) | (frozenset() if own is None else {own})


def _said(path: Path) -> frozenset[int]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return frozenset()  # loading the model says what is wrong with it
    if not isinstance(content, dict):
        return frozenset()
    inner = content.get("text_config")
    found = content.get(
        "eos_token_id", inner.get("eos_token_id") if isinstance(inner, dict) else None
    )
    return frozenset(
        item for item in (found if isinstance(found, list) else [found]) if type(item) is int
    )


def _steps(decoder: Mapping[str, Any]) -> list[str]:
    inner = decoder.get("decoders")
    return [decoder["type"]] if inner is None else [step for part in inner for step in _steps(part)]


def _bytes_of_letters() -> dict[str, int]:
    """Return which letter stands for which byte in byte-level vocabularies (GPT-2's table).

    A printable byte of Latin-1 stands for itself, the others are counted from U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + place): byte for place, byte in enumerate(others)
    }
