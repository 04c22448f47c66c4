"""Loaded language models behind one protocol, and the probe of what each can do."""
