"""Resolving a template's values: functions and conditions, within a scope that knows parameters, resources and files.

What can't be known yet (an attribute of a resource that is not there) is UNKNOWN, and so is all that a function makes of it: the same walk
validates a template, finds what its resources require, and resolves it for good.

Source: Template Guide, "Intrinsic functions".
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template import cloudformation, text, values, versions
from pilvi.orchestration.template.budget import Budget, substitute
from pilvi.orchestration.template.values import UNKNOWN, VOID, FunctionInvalid, unknown_in

YAQL_COST = 2_000
"""In values: an expression is carried out by another process."""
NO_VALUE = "AWS::NoValue"
"""A Ref to it leaves out the property (or item) that it stands for."""
IN_HOT = {"Fn::Not": "not", "Fn::And": "and", "Fn::Or": "or", "Fn::Equals": "equals"}


class Scope(Protocol):
    """What functions ask for. Each may raise a TemplateInvalid or return UNKNOWN."""
    version: str
    conditions: Mapping[str, Any]
    """{name: as the template writes it}"""
    budget: Budget

    def parameter(self, name: str) -> Any: ...
    def has_parameter(self, name: str) -> bool: ...
    def reference(self, name: str) -> Any: ...
    def attribute(self, name: str, attribute: str | None, path: list[Any]) -> Any: ...
    def file(self, name: str) -> str: ...
    def facade(self, part: str) -> Any: ...


def resolve(value: Any, scope: Scope) -> Any:
    """The value with all functions carried out. Raises TemplateInvalid, ParameterMissing."""
    try: return _Resolver(scope).resolve(value)
    except RecursionError: raise FunctionInvalid("The functions are nested too deeply") from None


def holds(condition: Any, scope: Scope) -> bool:
    """A condition's name, literal or function, as a boolean. Raises TemplateInvalid."""
    try: return _Resolver(scope).condition(condition, ())
    except RecursionError: raise FunctionInvalid("The conditions are nested too deeply") from None


class _Resolver:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.known = versions.functions(scope.version)
        self.budget = scope.budget

    def resolve(self, value: Any) -> Any:
        self.budget.spend(1)
        if isinstance(value, Mapping):
            if len(value) == 1:
                name, arguments = next(iter(value.items()))
                if name in self.known: return self._call(name, arguments)
                if name in versions.FUNCTIONS and name not in ("filter", "if", "contains", "repeat", "digest"):
                    raise FunctionInvalid(f'"{name}" is not a function of heat_template_version {self.scope.version}')
            resolved = {str(key): self.resolve(inner) for key, inner in value.items()}
            return {key: inner for key, inner in resolved.items() if inner is not VOID}
        if isinstance(value, list): return [one for one in map(self.resolve, value) if one is not VOID]
        return value

    def _call(self, name: str, arguments: Any) -> Any:
        special = SPECIAL.get(name)
        if special:
            made = special(self, arguments)
            if name in ASKING: self.budget.weigh(made)
            return made
        given = self.resolve(arguments)
        if self.budget.weigh(given): return UNKNOWN
        if name == "yaql": self.budget.spend(YAQL_COST)
        try: made = PLAIN[name](given, self.scope.version)
        except FunctionInvalid as failure: raise FunctionInvalid(f'"{name}": {failure.message}') from None
        self.budget.weigh(made)
        return made

    # -- functions that ask the scope, or see their arguments unresolved

    def get_param(self, arguments: Any) -> Any:
        given = self.resolve(arguments)
        if unknown_in(given): return UNKNOWN
        path = given if isinstance(given, list) else [given]
        if not path: raise FunctionInvalid('Function "get_param" must have arguments')
        return values.select(self.scope.parameter(str(path[0])), path[1:])

    def get_resource(self, arguments: Any) -> Any:
        name = self.resolve(arguments)
        return name if name is UNKNOWN else self.scope.reference(str(name))

    def ref(self, arguments: Any) -> Any:
        name = str(self.resolve(arguments))
        if name == NO_VALUE and self.scope.version in versions.CFN.values(): return VOID
        return self.scope.parameter(name) if self.scope.has_parameter(name) else self.scope.reference(name)

    def get_attr(self, arguments: Any) -> Any:
        given = self.resolve(arguments)
        if isinstance(given, str): given = given.split(".", 1) if self.scope.version <= versions.FIRST else [given]
        if not isinstance(given, list) or not given: raise FunctionInvalid('"get_attr" takes a list: [resource, attribute, …]')
        if given[0] is UNKNOWN: return UNKNOWN
        if len(given) == 1 and self.scope.version < versions.WHOLE_RESOURCE_SINCE:
            raise FunctionInvalid('Arguments to "get_attr" must be of the form [resource_name, attribute, (path), ...]')
        if unknown_in(given[1:]):
            self.scope.attribute(str(given[0]), None, [])
            return UNKNOWN
        return self.scope.attribute(str(given[0]), None if len(given) == 1 else str(given[1]), given[2:])

    def get_file(self, arguments: Any) -> Any:
        name = self.resolve(arguments)
        if not isinstance(name, str): raise FunctionInvalid('Argument to "get_file" must be a string')
        return self.scope.file(name)

    def facade(self, arguments: Any) -> Any:
        part = str(self.resolve(arguments)).lower().replace("deletionpolicy", "deletion_policy").replace("updatepolicy", "update_policy")
        if part not in ("metadata", "deletion_policy", "update_policy"):
            raise FunctionInvalid('Incorrect arguments to "resource_facade" should be one of: metadata, deletion_policy, update_policy')
        return self.scope.facade(part)

    def if_(self, arguments: Any) -> Any:
        nullable = self.scope.version >= versions.NULLABLE_IF_SINCE
        if not isinstance(arguments, list) or len(arguments) not in ((2, 3) if nullable else (3,)):
            raise FunctionInvalid('Arguments to "if" must be of the form: [condition_name, value_if_true, value_if_false]')
        if self.condition(arguments[0], ()): return self.resolve(arguments[1])
        return self.resolve(arguments[2]) if len(arguments) == 3 else VOID

    def repeat(self, arguments: Any) -> Any:
        if not isinstance(arguments, Mapping) or not {"template", "for_each"} <= set(arguments):
            raise FunctionInvalid('Arguments to "repeat" must be a map with "template" and "for_each"')
        loops = self.resolve(arguments["for_each"])
        permute = self.resolve(arguments.get("permutations", True))
        if self.budget.weigh(loops):
            self.resolve(arguments["template"])
            return UNKNOWN
        if not isinstance(loops, Mapping): raise FunctionInvalid('"for_each" must be a map of placeholders to lists')
        made = []
        for turn in values.loops(loops, permute):
            self.budget.spend(len(turn))
            made.append(self.resolve(substitute(arguments["template"], turn, self.budget)))
        return [one for one in made if one is not VOID]

    # -- conditions

    def condition(self, written: Any, path: tuple[str, ...]) -> bool:
        """`path`: the names whose conditions are being looked at."""
        self.budget.spend(1)
        if isinstance(written, bool): return written
        if isinstance(written, str):
            if written in path: raise FunctionInvalid(f"Circular definition for condition \"{written}\" ({' -> '.join((*path, written))})")
            if written not in self.scope.conditions: raise FunctionInvalid(f'Invalid condition "{written}"')
            return self.condition(self.scope.conditions[written], (*path, written))
        if isinstance(written, Mapping) and len(written) == 1:
            name, arguments = next(iter(written.items()))
            if name in versions.condition_functions(self.scope.version): return self._condition_function(name, arguments, path)
            if name == "Condition" and self.scope.version == versions.AWS and isinstance(arguments, str):
                return self.condition(arguments, path)
        raise FunctionInvalid(f"Invalid condition {str(written)[:80]!r}: a name, true, false or a condition function is needed")

    def _condition_function(self, name: str, arguments: Any, path: tuple[str, ...]) -> bool:
        if name == "Fn::Not":
            if not isinstance(arguments, list) or len(arguments) != 1:
                raise FunctionInvalid('Arguments to "Fn::Not" must be of the form: [condition]')
            arguments = arguments[0]
        name = IN_HOT.get(name, name)
        if name == "not": return not self.condition(arguments, path)
        if name in ("and", "or"):
            if not isinstance(arguments, list) or len(arguments) < 2:
                raise FunctionInvalid(f'The minimum number of condition arguments to "{name}" is 2.')
            found = [self.condition(one, path) for one in arguments]
            return all(found) if name == "and" else any(found)
        if name == "equals":
            if not isinstance(arguments, list) or len(arguments) != 2:
                raise FunctionInvalid('Arguments to "equals" must be of the form: [value_1, value_2]')
            first, second = (self._condition_value(one) for one in arguments)
            return bool(first == second)
        result = self._condition_value({name: arguments})
        if isinstance(result, bool): return result
        raise FunctionInvalid(f"The condition value should be boolean, after resolved the value is: {result}")

    def _condition_value(self, value: Any) -> Any:
        found = self.resolve(value)
        if unknown_in(found): raise FunctionInvalid("A condition may only depend on parameters")
        return found


SPECIAL: dict[str, Callable[[_Resolver, Any], Any]] = {
    "get_param": _Resolver.get_param, "get_resource": _Resolver.get_resource, "Ref": _Resolver.ref, "get_attr": _Resolver.get_attr,
    "get_file": _Resolver.get_file, "resource_facade": _Resolver.facade, "Fn::ResourceFacade": _Resolver.facade, "if": _Resolver.if_,
    "Fn::If": _Resolver.if_, "Fn::GetAtt": _Resolver.get_attr, "repeat": _Resolver.repeat}
ASKING = {"get_param", "Ref", "get_attr", "Fn::GetAtt", "get_file"}
"""Functions whose values the template does not hold itself."""
PLAIN: dict[str, Callable[[Any, str], Any]] = {
    "list_join": text.list_join, "str_replace": text.str_replace, "str_replace_strict": text.str_replace_strict,
    "str_replace_vstrict": text.str_replace_vstrict, "str_split": text.str_split, "digest": text.digest, "make_url": text.make_url,
    "map_merge": values.map_merge, "map_replace": values.map_replace, "filter": values.filter_, "list_concat": values.list_concat,
    "list_concat_unique": values.list_concat_unique, "contains": values.contains, "yaql": values.yaql,
    "Fn::Select": values.fn_select, "Fn::Join": text.fn_join, "Fn::Split": text.fn_split, "Fn::Replace": text.fn_replace,
    "Fn::Base64": text.fn_base64, "Fn::GetAZs": values.fn_get_azs, "Fn::MemberListToMap": values.fn_member_list_to_map,
    "Fn::FindInMap": cloudformation.find_in_map}
"""Functions of their resolved arguments and the template's version."""


def place(where: str, failure: Exception) -> TemplateInvalid:
    """The failure with where in the template it is."""
    message = failure.message if isinstance(failure, TemplateInvalid) else str(failure)
    return TemplateInvalid(reason=message if message.startswith(where.split(".")[0] + ".") else f"{where}: {message}")
