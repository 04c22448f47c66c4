"""Serving recurrent and hybrid language models: the task tree is a tree of states.

Needs the extra `recurrent` (torch, transformers, llguidance). Importing this package loads none of them.
"""
