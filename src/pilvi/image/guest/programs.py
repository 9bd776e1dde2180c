"""Runs the host's programs that a build uses, and says which Debian package brings one that is missing."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pilvi.image.guest.errors import GuestBuildFailed

PACKAGE_OF_PROGRAM = {
    "apt-cache": "apt", "apt-get": "apt", "debugfs": "e2fsprogs", "dpkg": "dpkg", "dpkg-deb": "dpkg", "mcopy": "mtools",
    "mformat": "mtools", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils", "syslinux": "syslinux",
}
# an ordinary user's PATH on Debian lacks the folders where e2fsprogs puts its programs
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
MASTER_BOOT_CODE = [Path("/usr/lib/syslinux/mbr/mbr.bin"), Path("/usr/lib/SYSLINUX/mbr.bin")]


def require() -> None:
    """Raises GuestBuildFailed with the packages to install, unless the host has all that a build needs."""
    missing = {package for program, package in PACKAGE_OF_PROGRAM.items() if shutil.which(program, path=SEARCH_PATH) is None}
    if not any(path.exists() for path in MASTER_BOOT_CODE):
        missing.add("syslinux-common")
    if missing:
        raise GuestBuildFailed(f"building the guest image needs Debian packages that are not installed: {' '.join(sorted(missing))}")


def run(command: Sequence[str | Path], *, folder: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Runs a program to its end and returns its output; GuestBuildFailed carries what it wrote to standard error."""
    return _finish(command, folder, variables).stdout


def run_script(command: Sequence[str | Path], script: str, *, folder: Path, variables: Mapping[str, str]) -> str:
    """Runs an interpreter like debugfs on a script, and returns its complaints, as its exit status says nothing about them."""
    script_file = folder / "script"
    script_file.write_text(script)
    complaints = _finish([*command, "-f", script_file], folder, variables).stderr
    # the first line it writes there is its name and version
    return "\n".join(complaints.splitlines()[1:])


def first_lines(text: str) -> str:
    """Enough of a program's complaint to understand it."""
    return "; ".join(line.strip() for line in text.splitlines()[:20] if line.strip()) or "failed without a word"


def _finish(command: Sequence[str | Path], folder: Path | None, variables: Mapping[str, str] | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": SEARCH_PATH, "LC_ALL": "C", "TZ": "UTC", **(variables or {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise GuestBuildFailed(f"{' '.join(map(str, command))}: {first_lines(done.stderr)}")
    return done
