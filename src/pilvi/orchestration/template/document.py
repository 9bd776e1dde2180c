"""From text to values: YAML (of which JSON is a part) without its dangers.

Aliases may share a node but not multiply it: a document is refused when, written out, it has more than NODES_MOST nodes (a "billion laughs"
bomb has 10^9), when it holds itself, or when it is nested too deeply. Timestamps stay text. Messages name the line.
"""
from __future__ import annotations

from typing import Any

import yaml

from pilvi.orchestration.errors import TemplateInvalid

TEXT_BYTES_MOST = 524_288
NODES_MOST = 100_000
DEPTH_MOST = 60
NUMBER_CHARACTERS_MOST = 400
"""YAML's numbers to the base of 60 take time that grows with the square of their length."""


class _Loader(yaml.CSafeLoader):
    """YAML's safe types but timestamps, which templates mean as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()}


def load(text: str, what: str = "template") -> Any:
    """The document's value. Raises TemplateInvalid with the place."""
    if len(text.encode(errors="replace")) > TEXT_BYTES_MOST:
        raise TemplateInvalid(reason=f"{what.capitalize()} exceeds maximum allowed size ({TEXT_BYTES_MOST} bytes)")
    loader = _Loader(text)
    try:
        _check_depth(text, what)
        node = loader.get_single_node()
        if node is None: return None
        _check(node, what)
        value = loader.construct_document(node)
    except yaml.MarkedYAMLError as failure:
        raise TemplateInvalid(reason=f"Error parsing {what}{_place(failure.problem_mark)}: {failure.problem or failure.context}") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as failure:
        raise TemplateInvalid(reason=f"Error parsing {what}: {str(failure)[:200]}") from None
    finally:
        loader.dispose()
    return value


def load_map(text: str, what: str) -> dict[str, Any]:
    """A document that is a mapping; an empty one is {}. Raises TemplateInvalid."""
    value = load(text, what)
    if value is None: return {}
    if not isinstance(value, dict): raise TemplateInvalid(reason=f"The {what} is not a JSON object or YAML mapping.")
    return value


def _place(mark: Any) -> str:
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _check_depth(text: str, what: str) -> None:
    """Raises TemplateInvalid. Before anything is made of the text: libyaml's binding makes nodes by recursion in C, and 200,000 brackets
    would overflow its stack and end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent): depth += 1
        elif isinstance(event, yaml.CollectionEndEvent): depth -= 1
        if depth > DEPTH_MOST + 1: raise TemplateInvalid(reason=f"The {what} is nested too deeply{_place(event.start_mark)}")


def _check(root: Any, what: str) -> None:
    """Raises TemplateInvalid if the document written out would be too large or endless. Each node is looked at once."""
    sizes: dict[int, int] = {}
    inside: set[int] = set()

    def size(node: Any, depth: int) -> int:
        known = sizes.get(id(node))
        if known is not None: return known
        if id(node) in inside: raise TemplateInvalid(reason=f"The {what} contains itself{_place(node.start_mark)}")
        if depth > DEPTH_MOST: raise TemplateInvalid(reason=f"The {what} is nested too deeply{_place(node.start_mark)}")
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":int", ":float")) and len(node.value) > NUMBER_CHARACTERS_MOST:
            raise TemplateInvalid(reason=f"A number in the {what} is too long{_place(node.start_mark)}")
        inside.add(id(node))
        total = 1
        if isinstance(node, yaml.SequenceNode): children = node.value
        elif isinstance(node, yaml.MappingNode): children = [child for pair in node.value for child in pair]
        else: children = []
        for child in children: total += size(child, depth + 1)
        if total > NODES_MOST:
            raise TemplateInvalid(reason=f"The {what} would have more than {NODES_MOST} values with its aliases written out"
                                         f"{_place(node.start_mark)}")
        inside.discard(id(node))
        sizes[id(node)] = total
        return total

    size(root, 0)


def check_value(value: Any, what: str) -> None:
    """The same bounds for a template that came as a JSON object. Raises TemplateInvalid."""
    left = [NODES_MOST]

    def walk(one: Any, depth: int) -> None:
        left[0] -= 1
        if left[0] < 0: raise TemplateInvalid(reason=f"The {what} has more than {NODES_MOST} values")
        if depth > DEPTH_MOST: raise TemplateInvalid(reason=f"The {what} is nested too deeply")
        for child in one.values() if isinstance(one, dict) else one if isinstance(one, list) else (): walk(child, depth + 1)

    walk(value, 0)
