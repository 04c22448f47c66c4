"""The tokenizer of a student: byte-level pairs learnt from its data, and a chat template of five control tokens.

Owns the tokenizer's files and the template. A message is its role's token and its text; a reply ends with `<|end|>`.
Nothing stands between messages, so text on one side of a control token never changes the tokens on the other.
No token is both of digits, or of letters, and of something else: numbers and names are then made of the same parts
wherever they stand, which is what copying them needs.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from agentflow.recurrent.text.tokenizer import Tokenizer
from agentflow.training.student.conversations import Conversation
from agentflow.training.student.phrases import WORD, frequent_words, phrases
from agentflow.training.student.recipe import SMALLEST_VOCABULARY

END = "<|end|>"
ROLE_TOKENS = {
    "system": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "tool": "<|tool|>",
}
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
FILES = ("tokenizer.json", "tokenizer_config.json")


def train_tokenizer(
    conversations: Sequence[Conversation],
    folder: Path,
    *,
    vocabulary: int,
    most_phrases: int = 0,
    most_words: int = 0,
    digits: int = 1,
) -> Tokenizer:
    """Write a tokenizer to a folder and return it as the engine reads it.

    Args:
        conversations: What it is learnt from.
        folder: Where its files go.
        vocabulary: Entries at most, phrases beside them.
        most_phrases: How many phrases of the data become a token each; see `phrases`.
        most_words: How many words of the data are a token each; if any, all others are spelled letter by letter.
        digits: Of a number in one token, at most.

    Raises:
        ValueError: The vocabulary has no room for all bytes and the control tokens.
    """
    if vocabulary < SMALLEST_VOCABULARY:
        problem = f"is less than {SMALLEST_VOCABULARY}, all bytes and roles"
        raise ValueError(f"vocabulary: {vocabulary} {problem}")
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(rf"\d{{1,{digits}}}"), "isolated"),
            pre_tokenizers.Split(Regex(WORD.pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, *ROLE_TOKENS.values()],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = (message.text for one in conversations for message in one.messages)
    if most_words:  # what is left to be merged are digits and signs
        texts = (piece for text in texts for piece in WORD.split(text))
    backend.train_from_iterator(texts, trainer)
    found = phrases(conversations, most_phrases) if most_phrases else []
    words = frequent_words(conversations, most_words) if most_words else []
    added = [AddedToken(text, normalized=False) for text in found]
    added += [AddedToken(word, normalized=False, single_word=True) for word in words]
    backend.add_tokens(added)
    _write(backend, folder)
    return Tokenizer.load(folder)


def _write(backend: Backend, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END,
        "pad_token": END,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000,
        "chat_template": TEMPLATE,
    }
    texts = (backend.to_str(pretty=True), json.dumps(described, indent=2))
    for name, text in zip(FILES, texts, strict=True):
        partial = folder / f"{name}.partial"
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(folder / name)
