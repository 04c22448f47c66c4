"""Bring a program into the forms that the interpreter and the rewrite know.

Owns small, local changes of the syntax tree that keep its meaning: `await` and `gather` away, methods
as sort keys wrapped, `map` of an unwritten function made a comprehension.
"""

import ast

from agentflow.sandbox.nodes import Hosted


class Plain(ast.NodeTransformer):
    """Take away what the interpreter lacks or sequential code does not need: await, gather, `key=d.get`."""

    def __init__(self, tree: ast.Module) -> None:
        self._gather = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "asyncio"
            for alias in node.names
            if alias.name == "gather"
        }

    def visit(self, node: ast.AST) -> ast.AST:
        """Remember the line as written of every statement."""
        if isinstance(node, ast.stmt):
            node.af_line = node.lineno  # type: ignore[attr-defined]
        found: ast.AST = super().visit(node)
        return found

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """`async def` -> `def`."""
        plain = ast.FunctionDef(
            name=node.name,
            args=node.args,
            body=node.body,
            decorator_list=node.decorator_list,
            returns=node.returns,
        )
        plain.af_line = node.lineno  # type: ignore[attr-defined]
        return self.generic_visit(ast.copy_location(plain, node))

    def visit_Await(self, node: ast.Await) -> ast.AST:
        """`await f(x)` -> `f(x)`; `await gather(a, b)` -> `[a, b]`."""
        value = self.visit(node.value)
        if isinstance(value, ast.Call) and not value.keywords and self._is_gather(value.func):
            only = value.args[0] if len(value.args) == 1 else None
            if isinstance(only, ast.Starred):
                return ast.copy_location(only.value, node)
            return ast.copy_location(ast.List(elts=value.args, ctx=ast.Load()), node)
        return value

    def _is_gather(self, node: ast.expr) -> bool:
        match node:
            case ast.Attribute(attr="gather", value=ast.Name(id="asyncio")):
                return True
            case ast.Name(id=name):
                return name in self._gather  # without the import it is somebody's own word
        return False

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        """`key=d.get` -> `key=lambda _item: d.get(_item)`."""
        self.generic_visit(node)
        if node.arg == "key" and isinstance(node.value, ast.Attribute):
            item = ast.Name(id="_item", ctx=ast.Load())
            body = ast.Call(func=node.value, args=[item], keywords=[])
            arguments = ast.arguments(
                posonlyargs=[],
                args=[ast.arg(arg="_item")],
                kwonlyargs=[],
                kw_defaults=[],
                defaults=[],
            )
            node.value = ast.copy_location(ast.Lambda(args=arguments, body=body), node.value)
        return node


class Mapped(ast.NodeTransformer):
    """Turn `map(f, xs)` of an unwritten f into a comprehension, whose calls can be answered."""

    def __init__(self, loose: dict[int, str], hosted: Hosted) -> None:
        self._loose, self._hosted = loose, hosted

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`map(f, xs)` -> `[f(_item) for _item in xs]`."""
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Name(id="map"), args=[ast.Name() as function, iterable], keywords=[]
            ):
                if id(function) not in self._loose:
                    return node
                item = ast.Name(id="_item", ctx=ast.Load())
                call = ast.copy_location(ast.Call(func=function, args=[item], keywords=[]), node)
                self._hosted[id(call)] = call
                part = ast.comprehension(
                    target=ast.Name(id="_item", ctx=ast.Store()), iter=iterable, ifs=[], is_async=0
                )
                return ast.copy_location(ast.ListComp(elt=call, generators=[part]), node)
        return node
