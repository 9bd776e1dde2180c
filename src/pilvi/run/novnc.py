"""noVNC, the page on which a browser shows a server's screen: Debian's package, unpacked under DIR instead of installed, because installing
it would draw in a proxy and numpy that nobody here needs. `uninstall` removes it with the folder.
"""
from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

PACKAGE = "novnc"
SECONDS = 120


def folder(state: Path) -> Path:
    """Where its files are, once they are there."""
    return state / "share" / "novnc"


def fetch(state: Path, say: Callable[[str], None]) -> None:
    """Brings it if it is not there yet. A machine that can't reach its packages gets a word and a cloud without this page."""
    if folder(state).exists(): return
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        say("consoles in the browser need Debian's package novnc, and there is no apt-get here")
        return
    share = folder(state).parent
    share.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=share, prefix=".novnc-") as name:
        work = Path(name)
        try:
            _download(work)
            _run(work, "dpkg-deb", "--extract", str(next(work.glob("*.deb"))), "unpacked")
        except (subprocess.SubprocessError, StopIteration) as failure:
            reason = getattr(failure, "stderr", None) or str(failure)
            say(f"there will be no consoles in the browser: novnc could not be fetched ({reason.strip()[-200:]})")
            return
        (work / "unpacked/usr/share/novnc").rename(folder(state))
    say("noVNC is in place: openstack console url show SERVER")


def _download(work: Path) -> None:
    # As root in a folder of root's: apt's own user for downloads could not write here.
    words = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", PACKAGE)
    try: _run(work, *words)
    except subprocess.CalledProcessError:
        _run(work, "apt-get", "-q", "update")
        _run(work, *words)


def _run(work: Path, *command: str) -> None:
    subprocess.run(command, cwd=work, check=True, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
