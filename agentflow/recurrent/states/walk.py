"""Walk over the tensors of any state, whatever object a model keeps it in.

Owns what can be done to a state without knowing its architecture: count, copy, move, stack, take a row. Knows no model.
A walk goes through dicts, lists, tuples, dataclasses and plain objects; never into modules, configurations, types or
functions, which are shared. Everything else that could change is copied, so two states never share a mutable part.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from agentflow.recurrent.language_models.protocol import State

T = TypeVar("T")

Change = Callable[[str, Any], Any]


def tensors(cache: object) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor once with the path that leads to it, in a fixed order."""
    return ((path, leaf) for path, leaf in leaves(cache) if isinstance(leaf, Tensor))


def leaves(cache: object) -> Iterator[tuple[str, Tensor | int]]:
    """Yield the tensors, and the whole numbers that are not flags, with their paths."""
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", cache)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, int) and not isinstance(value, bool):
            yield path, value
            continue
        children = _children(value)
        if not isinstance(value, Tensor) and children is None:
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            yield path, value
        else:
            waiting.extend((f"{path}.{key}", child) for key, child in reversed(children or []))


def mapped(cache: T, change: Callable[[str, Tensor], Tensor]) -> T:
    """Return a new object of the same structure whose tensors are what `change` made of them.

    A tensor that is found twice is changed once. `change` must return a tensor of its own: what it hands back
    unchanged is shared.
    """
    return rebuilt(
        cache, lambda path, leaf: change(path, leaf) if isinstance(leaf, Tensor) else leaf
    )


def rebuilt(cache: T, change: Change) -> T:
    """Return a new object of the same structure; `change` is asked about tensors and whole numbers."""
    copies: dict[int, Any] = {}
    made: T = _rebuilt(cache, "", change, copies)
    return made


def nbytes(cache: object) -> int:
    """Return the bytes of all tensors."""
    return sum(tensor.numel() * tensor.element_size() for _, tensor in tensors(cache))


def clone(state: State) -> State:
    """Return a state of its own: reading on from one does not change the other."""
    return State(mapped(state.cache, lambda _, tensor: _owned(tensor)), state.length)


def moved(
    state: State, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> State:
    """Return a copy on another device or, its floating tensors, in another precision."""

    def change(_: str, tensor: Tensor) -> Tensor:
        changed = dtype if tensor.is_floating_point() else None
        return tensor.detach().to(device=device, dtype=changed, copy=True)

    return State(mapped(state.cache, change), state.length)


def stacked(caches: Sequence[T], lengths: Sequence[int], growing: Mapping[str, int]) -> T:
    """Put the rows of several caches under each other in one.

    Args:
        caches: Of the same structure, each with one row or more.
        lengths: The most tokens that any row of each cache has read.
        growing: For tensors that grow with the sequence, their path and the dimension that grows. It is padded in
            front, so that the newest token of each row is the last.

    Raises:
        ValueError: They cannot be put together: other structure, shapes or counters.
    """
    found = [dict(leaves(cache)) for cache in caches]
    if any(other.keys() != found[0].keys() for other in found):
        raise ValueError("states of different structure")

    def change(path: str, _: object) -> Any:
        parts: list[Any] = [other[path] for other in found]
        if isinstance(parts[0], int):
            return _counter(path, parts, lengths)
        return _under_each_other(path, parts, growing.get(path))

    return rebuilt(caches[0], change)


def rows_of(
    cache: T, rows: Sequence[int], length: int, longest: int, growing: Mapping[str, int]
) -> T:
    """Return a cache of its own with some rows of a stacked one.

    Args:
        cache: The stacked one; it is not changed.
        rows: Which, in the order they are wanted.
        length: The most tokens that any of these has read: what was padded beyond is cut off.
        longest: The most tokens that any row of `cache` has read.
        growing: As for `stacked`.
    """

    def change(path: str, leaf: Any) -> Any:
        if isinstance(leaf, int):
            return length if leaf == longest and _is_counter(path) else leaf
        if leaf.ndim == 0:
            return _owned(leaf)
        chosen = leaf.index_select(0, torch.tensor(rows, device=leaf.device))
        dim = growing.get(path)
        return chosen if dim is None else _cut(chosen, dim, length)

    return rebuilt(cache, change)


def _counter(path: str, values: Sequence[int], lengths: Sequence[int]) -> int:
    if all(value == values[0] for value in values):
        return values[0]
    if tuple(values) == tuple(lengths) and _is_counter(path):
        return max(values)
    raise ValueError(f"{path} differs between sequences: {list(values)}")


def _is_counter(path: str) -> bool:
    """Return whether the number may be one of tokens: those of single layers are of windows, which cannot be stacked."""
    return path.count(".") == 1


def _under_each_other(path: str, parts: Sequence[Tensor], dim: int | None) -> Tensor:
    if parts[0].ndim == 0:
        if any(not torch.equal(part, parts[0]) for part in parts):
            raise ValueError(f"{path} differs between sequences")
        return _owned(parts[0])
    if dim is not None:
        longest = max(part.shape[dim] for part in parts)
        parts = [_padded(part, dim, longest) for part in parts]
    if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
        raise ValueError(f"{path} has other shapes in other sequences")
    return torch.cat(list(parts), dim=0)


def _padded(tensor: Tensor, dim: int, length: int) -> Tensor:
    missing = length - tensor.shape[dim]
    if not missing:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = missing
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dim)


def _cut(tensor: Tensor, dim: int, length: int) -> Tensor:
    extra = tensor.shape[dim] - length
    return _owned(tensor.narrow(dim, extra, length)) if extra > 0 else tensor


def _owned(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _rebuilt(value: Any, path: str, change: Change, copies: dict[int, Any]) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return change(path, value)
    if id(value) in copies:
        return copies[id(value)]
    if isinstance(value, Tensor):
        copies[id(value)] = change(path, value)
        return copies[id(value)]
    children = _children(value)
    if children is None:
        return value
    if isinstance(value, tuple):
        parts = [_rebuilt(child, f"{path}.{key}", change, copies) for key, child in children]
        made = type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return copies.setdefault(id(value), made)
    made = copies[id(value)] = copy.copy(value)
    for key, child in children:
        _put(made, key, _rebuilt(child, f"{path}.{key}", change, copies))
    return made


def _put(holder: Any, key: Any, value: Any) -> None:
    if isinstance(holder, dict | list):
        holder[key] = value
    else:
        object.__setattr__(holder, key, value)  # frozen dataclasses too: the copy is ours


def _children(value: Any) -> list[tuple[Any, Any]] | None:
    """Return what a container holds, None for what is not one."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, Tensor | nn.Module | type) or callable(value) or _is_config(value):
        return None
    if dataclasses.is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    return list(vars(value).items()) if hasattr(value, "__dict__") else None


def _is_config(value: object) -> bool:
    """Return whether this is a configuration: transformers' carry `model_type`, pydantic's `model_fields`."""
    return hasattr(type(value), "model_type") or hasattr(type(value), "model_fields")
