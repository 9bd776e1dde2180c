"""A Debian 12 with its own cloud-init, as users bring it: built from Debian's packages by mmdebstrap, with nothing of Pilvi inside."""
from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from pilvi.image.guest import disk

PACKAGES = ("linux-image-cloud-amd64", "systemd-sysv", "cloud-init", "openssh-server", "ifupdown", "netplan.io", "isc-dhcp-client",
            "initramfs-tools", "udev", "iproute2", "cloud-guest-utils", "e2fsprogs", "fdisk", "sudo", "dbus")
ROOM_MIB = 300
LABEL = "debian-root"
ARGUMENTS = f"root=LABEL={LABEL} ro console=tty0 console=ttyS0,115200 no_timer_check random.trust_cpu=on mitigations=off"
FSTAB = f"LABEL={LABEL} / ext4 errors=remount-ro 0 1\n"


def build(target: Path) -> Path:
    """The qcow2 file; built once, which takes some three minutes. Needs root, for the owners of the files."""
    if target.exists(): return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as name:
        work = Path(name)
        tree = work / "tree"
        tree.mkdir()
        _run("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", work / "debian.tar")
        _run("tar", "-xf", work / "debian.tar", "-C", tree, "--numeric-owner", "--xattrs")
        (work / "debian.tar").unlink()
        (tree / "etc/fstab").write_text(FSTAB)
        (tree / "etc/hostname").write_text("unnamed\n")
        (tree / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        (tree / "etc/machine-id").write_text("")
        # so small a Debian has no locales to choose from, and cloud-init would count that as its failure
        (tree / "etc/cloud/cloud.cfg.d/20_no_locale.cfg").write_text("locale: false\n")
        for key in (tree / "etc/ssh").glob("ssh_host_*"): key.unlink()
        used = sum(path.lstat().st_blocks for path in tree.rglob("*")) // 2048
        _run("mke2fs", "-q", "-t", "ext4", "-L", LABEL, "-d", tree, work / "root.img", f"{used * 11 // 10 + ROOM_MIB}M")
        loader = f"DEFAULT debian\nPROMPT 0\nTIMEOUT 0\nLABEL debian\n KERNEL vmlinuz\n INITRD initrd\n APPEND {ARGUMENTS}\n"
        kernel, initrd = (next((tree / "boot").glob(f"{kind}-*")) for kind in ("vmlinuz", "initrd.img"))
        disk.write_boot_partition(work / "boot.img", {"vmlinuz": kernel.read_bytes(), "initrd": initrd.read_bytes(),
            "syslinux.cfg": loader.encode()}, start=disk.MIB_SECTORS, time=1_700_000_000)
        disk.write_disk(work / "debian.qcow2", work / "boot.img", work / "root.img")
        (work / "debian.qcow2").rename(target)
    return target


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
