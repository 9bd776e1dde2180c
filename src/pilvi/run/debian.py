"""The Debian packages of a real cloud: which are missing, how they are installed without their daemons, how they leave again.

Used by the launcher before there is an environment, so it needs the standard library only.
"""
from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from pilvi.run import steps
from pilvi.run.files import write_whole

PACKAGES = {
    "python3-venv": "the environment of the Python packages",
    "qemu-system-x86": "guests", "qemu-utils": "images and volumes",
    "ovn-central": "networks", "ovn-host": "networks", "openvswitch-switch": "networks",
    "iproute2": "taps and namespaces", "nftables": "the external network", "ethtool": "offloads, which the userspace datapath cannot do",
} | dict.fromkeys(["cpio", "zstd", "xz-utils", "lz4", "kmod", "fdisk", "binutils", "syslinux", "mtools", "dosfstools", "e2fsprogs",
                   "fakeroot"], "the build of the guest image")
"""{name: what needs it}"""

POLICY = Path("/usr/sbin/policy-rc.d")
LOCK = Path("/run/lock/pilvi-packages.lock")

# Runs apt-get with the start of daemons denied (Pilvi runs its own). It is a process of its own, so that the host's policy comes back also
# when the launcher is killed; when this shell is killed, the next one finds the set-aside file. $1 is the policy file, the rest apt-get's.
WITHOUT_DAEMONS = r"""
policy=$1; shift
restore() {
    if [ -e "$policy.before-pilvi" ]; then mv -f "$policy.before-pilvi" "$policy"
    elif grep -qs 'for pilvi' "$policy"; then rm -f "$policy"; fi
}
restore; trap restore EXIT; trap 'exit 143' HUP INT TERM
[ ! -e "$policy" ] || cp -p "$policy" "$policy.before-pilvi" || exit 1
printf '#!/bin/sh\n# for pilvi: no daemon starts during an installation\nexit 101\n' > "$policy.new" || exit 1
chmod 755 "$policy.new" && mv -f "$policy.new" "$policy" || exit 1
dpkg --configure -a  # what an interrupted run left half-way
apt-get -y --no-install-recommends "$@"
"""
# Enabled at boot, these would run beside Pilvi's own and share the kernel's one datapath with them.
SERVICES = {"openvswitch-switch": "openvswitch-switch.service", "ovn-central": "ovn-central.service", "ovn-host": "ovn-host.service"}


def present(names: list[str]) -> set[str]:
    """Those of these packages that are installed."""
    if not names or shutil.which("dpkg-query") is None:
        return set()
    asked = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return {line.split()[0] for line in answer.splitlines() if line.endswith(" installed")}


def missing() -> list[str]:
    """The packages that a real cloud lacks on this machine."""
    return sorted(PACKAGES.keys() - present(list(PACKAGES)))


def command(names: list[str]) -> str:
    """The exact command that installs these packages."""
    return f"apt-get install --no-install-recommends {' '.join(names)}"


def record(state: Path) -> set[str]:
    """The packages that were installed for the cloud in this state folder."""
    try:
        return set(json.loads((state / "installed.json").read_text())["packages"])
    except FileNotFoundError:
        return set()


def install(state: Path) -> None:
    """Installs what is missing and notes in installed.json which packages are new on this machine; may be repeated."""
    if not missing():
        return
    if shutil.which("apt-get") is None:
        steps.say("there is no apt-get here, so nothing is installed for you; `pilvi doctor` says what is missing")
        return
    log = state / "logs" / "launcher.log"
    with steps.locked(LOCK) as lock:
        if not (names := missing()):
            return
        steps.say(f"missing Debian packages: {' '.join(names)}")
        steps.run("Debian's package lists", ["apt-get", "-q", "update"], log, lock=lock)
        plan = subprocess.run(["apt-get", "-s", "--no-install-recommends", "install", *names], capture_output=True, text=True, check=False)
        if plan.returncode != 0:
            raise steps.Trouble(f"Debian's packages cannot be installed:\n{plan.stderr.strip()}")
        new = re.findall(r"^Inst (\S+) \(", plan.stdout, re.MULTILINE)  # "Inst name [version] (…" is an upgrade of what was there
        before = record(state)
        note(state, before | set(new))  # before it begins, so that a killed run is on record too
        try:
            steps.run(f"Debian packages ({len(new)})", ["sh", "-c", WITHOUT_DAEMONS, "sh", str(POLICY), "install", *names], log, lock=lock,
                      count="Setting up ", total=len(new), outlive=True)
        except steps.Trouble:
            note(state, before | present(new))
            raise
        services = [SERVICES[name] for name in names if name in SERVICES]
        if services and shutil.which("systemctl"):
            subprocess.run(["systemctl", "disable", "--quiet", *services], capture_output=True, check=False)


def remove(state: Path) -> list[str]:
    """Removes the packages that were installed for this cloud; gives those that stay because something else came to need them."""
    if not (names := sorted(present(sorted(record(state))))):
        return []
    plan = subprocess.run(["apt-get", "-s", "purge", *names], capture_output=True, text=True, check=False).stdout
    if set(re.findall(r"^(?:Purg|Remv) (\S+)", plan, re.MULTILINE)) - set(names):
        return names
    with steps.locked(LOCK) as lock:
        steps.run(f"Removing Debian packages ({len(names)})", ["sh", "-c", WITHOUT_DAEMONS, "sh", str(POLICY), "purge", *names],
                  state / "logs" / "launcher.log", lock=lock, count="Removing ", total=len(names), outlive=True)
    note(state, set())
    return []


def note(state: Path, names: set[str]) -> None:
    """Writes the record."""
    write_whole(state / "installed.json", json.dumps({"packages": sorted(names)}, indent=1))
