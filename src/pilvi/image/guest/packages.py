"""Which Debian packages the guest is made of: chosen, downloaded and unpacked with apt's and dpkg's own programs, as any user.

Only apt's package lists are needed on the host; nothing is installed.
"""
from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

import msgspec

from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.programs import run

DOWNLOADED_LINE = re.compile(r"^'(?P<url>[^']+)' (?P<file>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$")
# the guest has no package manager and runs no installation scripts: of what a package depends on, only shared libraries
# and the kernel behind its meta package matter
FOLLOWED_PREFIXES = ("lib", "zlib", "linux-image-")
# as root, apt would download as the user _apt, who may not write into the cache folder
AS_OURSELVES = ["-o", "APT::Sandbox::User=" + ("root" if os.geteuid() == 0 else "")]


class Package(msgspec.Struct, frozen=True):
    """A .deb file as apt's lists describe it."""

    name: str
    file: str
    sha256: str
    size: int


def choose(wanted: Sequence[str]) -> list[Package]:
    """The candidates of the wanted packages and of the libraries they depend on, sorted by name."""
    architecture = run(["dpkg", "--print-architecture"]).strip()
    if architecture != "amd64":
        raise GuestBuildFailed(f"the guest image is built from this machine's packages and exists for amd64 only, not for {architecture}")
    names = sorted(closure(wanted, _dependencies(wanted)))
    listed = run(["apt-get", "download", "--print-uris", *names])
    packages = [_package(line) for line in listed.splitlines() if line.startswith("'")]
    if len(packages) != len(names):
        raise GuestBuildFailed(f"apt can download {len(packages)} of the {len(names)} packages {' '.join(names)}; try: apt-get update")
    return sorted(packages, key=lambda package: package.name)


def closure(wanted: Sequence[str], dependencies: dict[str, list[str]]) -> set[str]:
    """The wanted packages and, step by step, those of their dependencies that are followed."""
    found: set[str] = set()
    ahead = list(wanted)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [other for other in dependencies.get(name, []) if other.startswith(FOLLOWED_PREFIXES)]
    return found


def parse_dependencies(text: str) -> dict[str, list[str]]:
    """What `apt-cache depends --recurse` prints, as {package: [package]}; of alternatives the first."""
    dependencies: dict[str, list[str]] = {}
    current: list[str] = []
    alternative = False
    for line in text.splitlines():
        if not line.startswith((" ", "<")):
            current = dependencies.setdefault(line.strip(), [])
            alternative = False
        elif match := re.match(r"^ ([ |])(?:Pre)?Depends: (\S+)$", line):
            if not alternative:
                current.append(match[2])
            alternative = match[1] == "|"
    return dependencies


def download(packages: Sequence[Package], cache_dir: Path, progress: Callable[[str], None]) -> None:
    """Brings the .deb files that the cache lacks. A file appears there only whole and with the right checksum."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages if not _cached(package, cache_dir)]
    if not missing:
        return
    progress(f"downloading {len(missing)} packages, {sum(package.size for package in missing) / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory(dir=cache_dir) as arriving:
        run(["apt-get", "-qq", *AS_OURSELVES, "download", *[package.name for package in missing]], folder=Path(arriving))
        for package in missing:
            file = Path(arriving, package.file)
            if not file.exists() or _sha256(file) != package.sha256:
                raise GuestBuildFailed(f"{package.file} did not arrive as apt's lists describe it; try: apt-get update")
            file.rename(cache_dir / package.file)


def unpack(packages: Sequence[Package], cache_dir: Path, into: Path) -> None:
    """Lays each package's files into a folder of its name."""
    into.mkdir()
    for package in packages:
        run(["dpkg-deb", "--extract", cache_dir / package.file, into / package.name])


def _dependencies(wanted: Sequence[str]) -> dict[str, list[str]]:
    without = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"]
    try:
        text = run(["apt-cache", "depends", "--recurse", *[f"--no-{kind}" for kind in without], *wanted])
    except GuestBuildFailed as failure:
        raise GuestBuildFailed(f"apt does not know all packages of the guest; try: apt-get update ({failure})") from failure
    return parse_dependencies(text)


def _package(line: str) -> Package:
    match = DOWNLOADED_LINE.match(line)
    if match is None:
        raise GuestBuildFailed(f"apt-get download --print-uris answered in an unknown form: {line}")
    return Package(unquote(match["file"]).partition("_")[0], match["file"], match["sha256"], int(match["size"]))


def _cached(package: Package, cache_dir: Path) -> bool:
    file = cache_dir / package.file
    return file.exists() and _sha256(file) == package.sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
