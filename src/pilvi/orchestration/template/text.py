"""The functions on text."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlunsplit

import msgspec

from pilvi.orchestration.template.budget import bounded
from pilvi.orchestration.template.values import FunctionInvalid
from pilvi.orchestration.template.versions import MANY_LISTS_SINCE

SEARCHED_MOST = 1_000_000_000
"""Characters that the keys of a replacement are looked for in, all together: a second's work."""
URL_PARTS = ("scheme", "username", "password", "host", "port", "path", "query", "fragment")


def _piece(value: Any, version: str) -> str:
    """A value as a piece of text: None is nothing; lists and maps are JSON since 2015-10-15."""
    if value is None: return ""
    if isinstance(value, str): return value
    if isinstance(value, list | Mapping):
        if version < MANY_LISTS_SINCE: raise FunctionInvalid("Items to join must be strings, not lists or maps")
        return msgspec.json.encode(value).decode()
    return str(value)


def list_join(given: Any, version: str) -> Any:
    """[delimiter, list, …] → text."""
    if not isinstance(given, list) or len(given) < 2 or (len(given) > 2 and version < MANY_LISTS_SINCE):
        raise FunctionInvalid('Incorrect arguments to "list_join" should be: [delimiter, list, …]')
    delimiter, lists = given[0], given[1:]
    if delimiter is None: delimiter = ""
    if not isinstance(delimiter, str): raise FunctionInvalid("The delimiter must be a string")
    items: list[Any] = []
    for one in lists:
        if one is None: continue
        if not isinstance(one, list): raise FunctionInvalid('Incorrect arguments to "list_join": lists are needed after the delimiter')
        items += one
    pieces = [_piece(one, version) for one in items]
    bounded(sum(map(len, pieces)) + len(delimiter) * max(0, len(pieces) - 1))
    return delimiter.join(pieces)


def str_replace(given: Any, version: str) -> Any:
    """{template, params} → the template with each key of params replaced by its value; longer keys first, nothing twice."""
    return _replace(given, version, strict=False, full=False)


def str_replace_strict(given: Any, version: str) -> Any:
    """The same; a key that is not in the template is an error."""
    return _replace(given, version, strict=True, full=False)


def str_replace_vstrict(given: Any, version: str) -> Any:
    """The same; an empty value is an error too."""
    return _replace(given, version, strict=True, full=True)


def _replace(given: Any, version: str, *, strict: bool, full: bool) -> str:
    if not isinstance(given, Mapping) or set(given) != {"template", "params"}:
        raise FunctionInvalid('a map with "template" and "params" is needed')
    template, params = given["template"], given["params"]
    if template is None: template = ""
    if isinstance(template, int | float): template = str(template)
    if not isinstance(template, str): raise FunctionInvalid("template must be a string")
    if params is None: params = {}
    if not isinstance(params, Mapping): raise FunctionInvalid("params must be a map")
    pieces = {str(key): _piece(value, version) for key, value in params.items()}
    if "" in pieces: raise FunctionInvalid("params may not have an empty key")
    if full:
        empty = sorted(key for key, value in pieces.items() if not value)
        if empty: raise FunctionInvalid(f"The following params have an empty value: {', '.join(empty)}")
    if not pieces: return template
    if len(pieces) * len(template) > SEARCHED_MOST: raise FunctionInvalid("there are too many params for so long a template")
    replaced, met = _by_turns(template, pieces)
    if strict and (unmet := sorted(set(pieces) - met)):
        raise FunctionInvalid(f"The following params were not found in the template: {', '.join(unmet)}")
    return replaced


def _by_turns(template: str, pieces: Mapping[str, str]) -> tuple[str, set[str]]:
    """(the text, keys found): the longest key first, as Heat does it; what has been put in is not looked at again. A regular expression of
    all keys would try each of them at each place."""
    parts, met, size = [(template, True)], set(), len(template)
    for key in sorted(pieces, key=len, reverse=True):
        found: list[tuple[str, bool]] = []
        for part, open_ in parts:
            if not open_ or key not in part:
                found.append((part, open_))
                continue
            first, *others = part.split(key)
            met.add(key)
            size += len(others) * (len(pieces[key]) - len(key))
            bounded(size)
            found.append((first, True))
            for other in others: found += ((pieces[key], False), (other, True))
        parts = [part for part in found if part[0]]
    return "".join(part for part, _ in parts), met


def str_split(given: Any, version: str) -> Any:
    """[delimiter, text, index?] → list, or the item."""
    if not isinstance(given, list) or len(given) not in (2, 3): raise FunctionInvalid("[delimiter, string, index (optional)] is needed")
    delimiter, whole = given[0], given[1]
    if whole is None: return None
    if not isinstance(delimiter, str) or not delimiter or not isinstance(whole, str):
        raise FunctionInvalid("the delimiter and the string must be text")
    parts = whole.split(delimiter)
    if len(given) == 2: return parts
    try: return parts[int(given[2])]
    except (ValueError, TypeError): raise FunctionInvalid("the index must be a number") from None
    except IndexError: raise FunctionInvalid(f"Incorrect index: it should be between 0 and {len(parts) - 1}") from None


def digest(given: Any, version: str) -> Any:
    """[algorithm, value] → hexadecimal digest."""
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(one, str) for one in given):
        raise FunctionInvalid("[algorithm, value] is needed, both text")
    algorithm, value = given
    if algorithm.lower() not in hashlib.algorithms_guaranteed or algorithm.startswith("shake"):
        raise FunctionInvalid(f"Algorithm must be one of {', '.join(sorted(hashlib.algorithms_guaranteed))}")
    return hashlib.new(algorithm.lower(), value.encode(), usedforsecurity=False).hexdigest()


def make_url(given: Any, version: str) -> Any:
    """{scheme, username, password, host, port, path, query, fragment} → URL."""
    if not isinstance(given, Mapping): raise FunctionInvalid("The arguments must be a map")
    if extra := set(given) - set(URL_PARTS): raise FunctionInvalid(f"Invalid arguments to make_url: {', '.join(sorted(extra))}")
    part = {name: given[name] for name in given if given[name] not in (None, "")}
    if "query" in part and not isinstance(part["query"], Mapping): raise FunctionInvalid("The query argument must be a map")
    for name in set(part) - {"query"}:
        if isinstance(part[name], list | Mapping): raise FunctionInvalid(f"The {name} argument must be text")
    host = str(part.get("host", "")).removeprefix("[").removesuffix("]")
    place = f"[{host}]" if ":" in host else host
    if "port" in part:
        if not str(part["port"]).isdigit() or not 0 <= int(part["port"]) <= 65535: raise FunctionInvalid(f"Invalid port {part['port']!r}")
        place += f":{part['port']}"
    if "username" in part:
        word = f":{quote(str(part['password']), safe='')}" if "password" in part else ""
        place = f"{quote(str(part['username']), safe='')}{word}@{place}"
    path = quote(str(part.get("path", "")))
    if place and path and not path.startswith("/"): path = "/" + path
    return urlunsplit((str(part.get("scheme", "")), place, path, urlencode(part.get("query", {})), quote(str(part.get("fragment", "")))))


def fn_join(given: Any, version: str) -> Any:
    """[delimiter, list]"""
    return list_join(given, version)


def fn_split(given: Any, version: str) -> Any:
    """[delimiter, text]"""
    return str_split(given[:2] if isinstance(given, list) else given, version)


def fn_replace(given: Any, version: str) -> Any:
    """[params, template]"""
    if not isinstance(given, list) or len(given) != 2: raise FunctionInvalid("[params, template] is needed")
    return str_replace({"template": given[1], "params": given[0]}, version)


def fn_base64(given: Any, version: str) -> Any:
    """The text itself: what takes user data encodes it."""
    if not isinstance(given, str): raise FunctionInvalid('"Fn::Base64" must be a string')
    return given
