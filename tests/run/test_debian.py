"""Installing Debian packages: only what is missing, without daemons, on record, and with the host's policy back in every case.

apt-get, dpkg and dpkg-query are small stand-ins found first on PATH: the host's own packages and its policy-rc.d must not be touched.
"""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pilvi.run import debian, steps

ROOT = Path(__file__).resolve().parents[2]
APT = r"""#!/bin/sh
cd "$FAKE"
case "$1" in
-q) exit 0 ;;
-s) cat plan; exit 0 ;;
esac
"$POLICY"; echo "policy $?" >> said
[ ! -e hang ] || { touch hanging; while [ -e hang ]; do sleep 0.05; done; }
[ ! -e fail ] || { echo "no space left"; exit 100; }
shift 2
echo "$@" >> said
case "$1" in
install) shift; cat new >> installed; for name; do echo "Setting up $name"; done ;;
purge) : > installed ;;
esac
"""
QUERY = r"""#!/bin/sh
while read -r name; do case " $* " in *" $name "*) echo "$name installed" ;; esac; done < "$FAKE/installed"
"""
SYSTEMCTL = '#!/bin/sh\necho "$@" >> "$FAKE/said"\n'
PLAN = "Inst libfoo [1.0] (1.1 Debian)\nInst libbar (2.0 Debian)\nInst ovn-host (23 Debian)\nConf ovn-host (23 Debian)\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host on which qemu-utils is there, the rest is missing, and ovn-host brings a library with it."""
    for name, script in (("apt-get", APT), ("dpkg-query", QUERY), ("dpkg", "#!/bin/sh\n"), ("systemctl", SYSTEMCTL)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "installed").write_text("qemu-utils\n")
    (tmp_path / "plan").write_text(PLAN)
    (tmp_path / "new").write_text("libbar\novn-host\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setenv("POLICY", str(tmp_path / "policy-rc.d"))
    monkeypatch.setattr(debian, "PACKAGES", {"qemu-utils": "images", "ovn-host": "networks"})
    monkeypatch.setattr(debian, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(debian, "LOCK", tmp_path / "lock")
    return tmp_path


def test_it_installs_what_is_missing_and_records_what_is_new(host: Path) -> None:
    debian.install(host / "state")
    assert (host / "said").read_text() == "policy 101\ninstall ovn-host\ndisable --quiet ovn-host.service\n"
    assert debian.record(host / "state") == {"libbar", "ovn-host"}  # libfoo was there in an older version
    assert debian.missing() == []
    (host / "said").unlink()
    debian.install(host / "state")
    assert not (host / "said").exists()


@pytest.mark.parametrize("policy", ["#!/bin/sh\nexit 0\n", None])
@pytest.mark.parametrize("ends", ["well", "badly"])
def test_the_policy_comes_back_as_it_was(host: Path, policy: str | None, ends: str) -> None:
    file = host / "policy-rc.d"
    if policy:
        file.write_text(policy)
        file.chmod(0o755)
    if ends == "well":
        debian.install(host / "state")
        assert debian.record(host / "state") == {"libbar", "ovn-host"}
    else:
        (host / "fail").touch()
        with pytest.raises(steps.Trouble, match="no space left"):
            debian.install(host / "state")
        assert debian.record(host / "state") == set()
    assert (file.read_text() if file.exists() else None) == policy
    assert not list(host.glob("policy-rc.d.*"))


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


def in_another_process(host: Path) -> "subprocess.Popen[bytes]":
    code = (f"from pathlib import Path; from pilvi.run import debian; host = Path({str(host)!r}); debian.PACKAGES = {{'ovn-host': ''}}; "
            "debian.POLICY = host / 'policy-rc.d'; debian.LOCK = host / 'lock'; debian.install(host / 'state')")
    return subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "src")})


def test_an_installation_outlives_a_killed_launcher(host: Path) -> None:
    (host / "policy-rc.d").write_text("#!/bin/sh\nexit 7\n")
    (host / "hang").touch()
    first = in_another_process(host)
    wait_for(host / "hanging")
    first.kill()
    first.wait()
    assert debian.record(host / "state") == {"libbar", "ovn-host"}, "on record before it began"
    second = in_another_process(host)
    time.sleep(0.3)
    assert second.poll() is None, "the next launcher waits for the installation"
    (host / "hang").unlink()
    assert second.wait(timeout=60) == 0
    assert (host / "said").read_text().count("install ovn-host") == 1
    assert (host / "policy-rc.d").read_text() == "#!/bin/sh\nexit 7\n"


def test_a_policy_left_by_a_killed_installation_is_put_back_by_the_next(host: Path) -> None:
    policy = host / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 7\n")
    policy.chmod(0o755)
    (host / "hang").touch()
    shell = subprocess.Popen(["sh", "-c", debian.WITHOUT_DAEMONS, "sh", str(policy), "install", "ovn-host"], start_new_session=True)
    wait_for(host / "hanging")
    os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    assert "for pilvi" in policy.read_text()
    (host / "hang").unlink()
    debian.install(host / "state")
    assert policy.read_text() == "#!/bin/sh\nexit 7\n"


def test_removal_takes_only_what_was_installed_for_the_cloud(host: Path) -> None:
    debian.install(host / "state")
    (host / "plan").write_text("Purg ovn-host [23]\nPurg libbar [2.0]\n")
    assert debian.remove(host / "state") == []
    assert (host / "said").read_text().endswith("purge libbar ovn-host\n")
    assert debian.record(host / "state") == set()


def test_removal_stops_when_something_else_needs_a_package(host: Path) -> None:
    debian.install(host / "state")
    (host / "plan").write_text("Remv other [1]\nPurg ovn-host [23]\nPurg libbar [2.0]\n")
    assert debian.remove(host / "state") == ["libbar", "ovn-host"]
    assert "purge" not in (host / "said").read_text()
