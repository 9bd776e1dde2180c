"""Picks the kernel modules the guest needs out of the kernel package's thousand, with what they depend on, in loading order.

Source: the `.modinfo` section of a module (NUL-ended `key=value` strings; include/linux/module.h), and depmod(5), modules.dep(5)
and modules.alias for the files that modprobe reads. Done here rather than by depmod, whose output follows the whole package.
"""
from __future__ import annotations

import lzma
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pilvi.image.guest.errors import GuestBuildFailed


class Module(msgspec.Struct, frozen=True):
    """One module; `path` is relative to /lib/modules/VERSION."""

    name: str
    path: str
    data: bytes
    needs: list[str]
    aliases: list[str]


class Library:
    """The modules of one unpacked kernel package, read when asked for."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the package's lib/modules/VERSION."""
        self._folder = folder
        self.kernel_version = folder.name
        self._paths = {_module_name(path.name): path for path in sorted(folder.glob("kernel/**/*.ko*"))}
        builtin = (folder / "modules.builtin").read_text().split()
        self._builtin = {_module_name(path.rpartition("/")[2]) for path in builtin}

    def in_loading_order(self, names: Iterable[str]) -> list[Module]:
        """The named modules and all they need, each after those it needs. What is built into the kernel is left out."""
        order: dict[str, Module] = {}

        def place(name: str) -> None:
            if name in order or name in self._builtin:
                return
            module = self._read(name)
            for other in module.needs:
                place(other)
            order[name] = module

        for name in names:
            place(_module_name(name))
        return list(order.values())

    def _read(self, name: str) -> Module:
        path = self._paths.get(name)
        if path is None:
            raise GuestBuildFailed(f"the kernel in {self._folder.name} has no module {name}, which the guest needs")
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = lzma.decompress(data)
        relative = path.relative_to(self._folder).as_posix().removesuffix(".xz")
        return Module(name, relative, data, needed_modules(data), aliases(data))


def needed_modules(data: bytes) -> list[str]:
    """The names a module says it depends on."""
    return [_module_name(name) for value in _values(data, b"depends") for name in value.split(",") if name]


def aliases(data: bytes) -> list[str]:
    """The patterns of devices a module is for (`virtio:d00000002v*`), and its other names."""
    return _values(data, b"alias")


def dependency_file(modules: list[Module]) -> str:
    """The content of modules.dep: behind each module all it needs, the first to be loaded last."""
    by_name = {module.name: module for module in modules}

    def all_needed(module: Module) -> list[str]:
        found: dict[str, None] = {}
        for name in module.needs:
            if name in by_name:
                for path in [*all_needed(by_name[name]), by_name[name].path]:
                    found.setdefault(path)
        return list(found)

    return "".join(f"{module.path}: {' '.join(reversed(all_needed(module)))}".rstrip() + "\n" for module in modules)


def alias_file(modules: list[Module]) -> str:
    """The content of modules.alias."""
    return "".join(f"alias {alias} {module.name}\n" for module in modules for alias in module.aliases)


def _values(data: bytes, key: bytes) -> list[str]:
    return [value.decode() for value in re.findall(rb"(?<=\0)" + key + rb"=([^\0]*)\0", data)]


def _module_name(name: str) -> str:
    return name.partition(".ko")[0].replace("-", "_")
