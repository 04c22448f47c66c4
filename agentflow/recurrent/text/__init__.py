"""Between text and tokens: prompts, streamed text, grammars."""
