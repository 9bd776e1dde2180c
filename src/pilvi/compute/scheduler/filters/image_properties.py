"""What an image says about the machine it runs on.

Source: glance, "Useful image properties": hw_architecture, img_hv_type, hw_vm_mode, img_hv_requested_version.
"""
from __future__ import annotations

import operator
import re
from collections.abc import Sequence

from pilvi.compute.scheduler.types import Host, Request

PROPERTIES = ("hw_architecture", "img_hv_type", "hw_vm_mode", "img_hv_requested_version")
ALIASES = {"amd64": "x86_64", "x86": "i686", "i386": "i686", "arm64": "aarch64"}
ALSO_RUNS = {("x86_64", "i686"), ("kvm", "qemu")}
"""(what the host is, what it can do besides)"""
COMPARISON = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?\s*")
OPERATORS = {">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt}


def image_properties(request: Request, hosts: Sequence[Host]) -> Sequence[Host]:
    """It must be the machine that the image asks for by its properties (it is {host.hypervisor_type} {host.hypervisor_version} on
    {host.architecture})."""
    architecture, kind, mode, version = (request.image_properties.get(name, "").lower() for name in PROPERTIES)
    if not (architecture or kind or mode or version): return hosts
    if mode not in ("", "hvm"): return []
    return [host for host in hosts
            if _runs(host.architecture.lower(), architecture) and _runs(host.hypervisor_type.lower(), kind)
            and _meets_version(host.hypervisor_version, version)]


def _runs(host: str, image: str) -> bool:
    host, image = ALIASES.get(host, host), ALIASES.get(image, image)
    return not image or host == image or (host, image) in ALSO_RUNS


def _meets_version(version: int, requirement: str) -> bool:
    """Of '>=6.0, <8' every part must hold; what cannot be understood holds for no host."""
    if not requirement: return True
    found = [COMPARISON.fullmatch(part) for part in requirement.split(",")]
    return all(part and OPERATORS[part[1]](version, int(part[2]) * 1_000_000 + int(part[3] or 0) * 1000 + int(part[4] or 0))
               for part in found)
