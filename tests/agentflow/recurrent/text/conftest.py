"""Tokenizers of several kinds, trained on the spot."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from agentflow.recurrent.text.tokenizer import Tokenizer
from tests.agentflow.recurrent.folders import PROSE, small_tokenizer

TEXT = PROSE[0]
THINKING = """
{%- for m in messages -%}
{%- set ns = namespace(text=m.content) -%}
{%- if m.role == 'assistant' and '</think>' in m.content -%}
{%- set ns.text = m.content.split('</think>')[-1] -%}{%- endif -%}
{{- '<|im_start|>' + m.role + '\n' + ns.text | trim + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""
LLAMA = """
{{- '<s>' -}}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{%- set system = m.content -%}
{%- elif m.role == 'user' -%}
{{- '[INST]' + (('<<SYS>>' + messages[0].content + '<</SYS>>')
    if messages[0].role == 'system' and loop.index0 == 1 else '') + m.content + '[/INST]' -}}
{%- else -%}{{- m.content + '</s>' -}}{%- endif -%}
{%- endfor -%}
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def tokenizer(folder: Path) -> Tokenizer:
    """Byte-level, ChatML."""
    return Tokenizer.load(folder)


@pytest.fixture(scope="session")
def thinking(folder: Path) -> Tokenizer:
    """The same, but its template strips, and `<think>` marks are added tokens that are not special."""
    loaded: Any = PreTrainedTokenizerFast.from_pretrained(folder)
    loaded.add_tokens([AddedToken(text, normalized=False) for text in ("<think>", "</think>")])
    loaded.chat_template = THINKING
    return Tokenizer(loaded, frozenset({loaded.eos_token_id}))


@pytest.fixture(scope="session")
def llama() -> Tokenizer:
    """SentencePiece's way: bytes for unknown characters, a space before each text, control tokens in the vocabulary."""
    backend = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    plain = "".join(letter for letter in TEXT if letter.isascii())
    backend.train_from_iterator(plain.splitlines(), trainer)
    # The byte tokens are ordinary entries of the vocabulary, not added ones.
    content = backend.to_str()
    loaded: Any = PreTrainedTokenizerFast(
        tokenizer_object=_without_added_bytes(content), bos_token="<s>", eos_token="</s>"
    )
    loaded.chat_template = LLAMA
    return Tokenizer(loaded, frozenset({loaded.eos_token_id}))


def _without_added_bytes(content: str) -> tokenizers.Tokenizer:
    import json

    read = json.loads(content)
    read["added_tokens"] = [t for t in read["added_tokens"] if not t["content"].startswith("<0x")]
    return tokenizers.Tokenizer.from_str(json.dumps(read))


@pytest.fixture(scope="session")
def words() -> Tokenizer:
    """Whole words, where even control tokens are words of the vocabulary."""
    entries = ["<unk>", "<s>", "</s>", "hello", "world", "user", "assistant", ":"]
    backend = tokenizers.Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(entries)}, unk_token="<unk>")
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    return Tokenizer(
        PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>"), frozenset({2})
    )
