"""The guest's root file system: which programs of which packages, their libraries, the kernel's modules and our own scripts."""
from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pilvi.image.guest import kernel_modules
from pilvi.image.guest.elf import needed_libraries
from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.kernel_modules import Library, Module
from pilvi.image.guest.programs import run
from pilvi.image.guest.tree import Tree

LABEL = "pilvi-root"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
# {package: files, where they lie in the guest}; libpam-modules is for sudo, which asks PAM even when it asks for no password
TAKEN = {
    "busybox": ["usr/bin/busybox"],
    "curl": ["usr/bin/curl"],
    "dropbear-bin": ["usr/bin/dropbear", "usr/bin/dropbearkey"],
    "e2fsprogs": ["usr/bin/mke2fs", "usr/bin/e2fsck", "usr/bin/resize2fs", "etc/mke2fs.conf"],
    "iputils-ping": ["usr/bin/ping"],
    "libpam-modules": ["usr/lib/x86_64-linux-gnu/security/pam_permit.so"],
    "sudo": ["usr/bin/sudo", "usr/libexec/sudo/sudoers.so"],
    "util-linux": ["usr/bin/lsblk"],
}
LINKS = {
    "bin": "usr/bin", "sbin": "usr/bin", "usr/sbin": "bin", "lib": "usr/lib", "lib64": "usr/lib64",
    "usr/bin/mkfs.ext4": "mke2fs", "usr/bin/fsck.ext4": "e2fsck", "usr/bin/ping6": "ping", "usr/bin/init": "busybox",
    "etc/mtab": "/proc/self/mounts", "etc/resolv.conf": "/run/resolv.conf", "var/run": "/run",
}
FOLDERS = {
    "dev": 0o755, "proc": 0o555, "sys": 0o555, "run": 0o755, "mnt": 0o755, "tmp": 0o1777, "var/tmp": 0o1777, "var/log": 0o755,
    "var/lib/pilvi-guest": 0o700, "etc/dropbear": 0o700, "root": 0o700, "root/.ssh": 0o700,
}
USER, USER_ID = "pilvi", 1000
SPECIAL_MODES = {"usr/bin/sudo": 0o4755, "etc/shadow": 0o600, "etc/sudoers": 0o440}
# loaded by the guest for the devices it finds (modules.alias), by mount (file systems) or by name (button, evdev: the power button)
MODULES = [
    "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "virtio_balloon", "virtio_rng", "virtio_console",
    "sd_mod", "sr_mod", "ata_piix", "isofs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "button", "evdev", "8021q",
]
LOADER = "ld-linux-x86-64.so.2"


def wanted_packages() -> list[str]:
    """The packages the guest is made of, without the libraries that follow from them."""
    return [KERNEL_PACKAGE, "busybox-static", *TAKEN]


def compose(unpacked: Path, library: Library, guest_version: str) -> Tree:
    """The root file system, out of the folder where each package is unpacked under its name."""
    tree = Tree()
    for path, target in LINKS.items():
        tree.link(path, target)
    for path, mode in FOLDERS.items():
        tree.folder(path, mode)
    for path in [f"home/{USER}", f"home/{USER}/.ssh"]:
        tree.folder(path, 0o700, USER_ID)
    for package, paths in TAKEN.items():
        available = contents(unpacked / package)
        for path in paths:
            add_file(tree, path, available[path].read_bytes())
    _add_libraries(tree, unpacked)
    add_own_files(tree, "root")
    add_applets(tree, contents(unpacked / "busybox")["usr/bin/busybox"])
    add_modules(tree, library.in_loading_order(MODULES), library.kernel_version)
    release = f'ID=pilvi-guest\nNAME="Pilvi guest"\nPRETTY_NAME="Pilvi guest {guest_version}"\nVERSION_ID={guest_version}\n'
    tree.file("etc/os-release", release.encode())
    return tree


def merged(path: str) -> str:
    """Where a package's file lies in the guest: there is one folder of programs, usr/bin, to which the other names are links."""
    if path.startswith("lib64/"):
        return "usr/" + path
    top, _, rest = path.removeprefix("usr/").partition("/")
    if top in ("bin", "sbin"):
        return "usr/bin/" + rest
    return f"usr/{top}/{rest}" if top in ("lib", "libexec", "share") else path


def contents(package: Path) -> dict[str, Path]:
    """The files of an unpacked package by the path each has in the guest. Links to elsewhere in the package count as files."""
    found = [path for path in sorted(package.rglob("*")) if not (path.is_symlink() and path.readlink().is_absolute()) and path.is_file()]
    return {merged(path.relative_to(package).as_posix()): path for path in found}


def add_file(tree: Tree, path: str, data: bytes) -> None:
    """Adds a file with the mode its path or its content asks for: programs, libraries and scripts may be executed."""
    executable = data.startswith((b"\x7fELF", b"#!"))
    tree.file(path, data, SPECIAL_MODES.get(path, 0o755 if executable else 0o644))


def add_own_files(tree: Tree, name: str) -> None:
    """Adds what lies in the folder `files/NAME` of this package, where it lies."""
    def walk(folder: Traversable, prefix: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.is_dir():
                walk(entry, f"{prefix}{entry.name}/")
            else:
                add_file(tree, prefix + entry.name, entry.read_bytes())

    walk(files(__package__) / "files" / name, "")


def add_applets(tree: Tree, busybox: Path) -> None:
    """Adds a link to BusyBox for each of its commands that no package of its own provides."""
    for applet in run([busybox, "--list"]).split():
        if f"usr/bin/{applet}" not in tree:
            tree.link(f"usr/bin/{applet}", "busybox")


def add_modules(tree: Tree, modules: Sequence[Module], kernel_version: str) -> None:
    """Adds the modules and the two files by which modprobe finds them."""
    folder = f"usr/lib/modules/{kernel_version}"
    for module in modules:
        tree.file(f"{folder}/{module.path}", module.data)
    tree.file(f"{folder}/modules.dep", kernel_modules.dependency_file(list(modules)).encode())
    tree.file(f"{folder}/modules.alias", kernel_modules.alias_file(list(modules)).encode())


def _add_libraries(tree: Tree, unpacked: Path) -> None:
    """Adds the libraries that the programs in the tree need, the libraries that those need, and so on."""
    packages = [package for package in sorted(unpacked.iterdir()) if not package.name.startswith("linux-image")]
    available = {path.rpartition("/")[2]: (path, source)
                 for package in packages for path, source in contents(package).items() if ".so" in path}
    ahead = [name for _, node in tree for name in needed_libraries(node.data)] + [LOADER]
    done: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name in done:
            continue
        done.add(name)
        if name not in available:
            raise GuestBuildFailed(f"none of the packages has the library {name}, which a program in the guest needs")
        path, source = available[name]
        data = source.read_bytes()
        # programs name the loader by a path of its own
        add_file(tree, "usr/lib64/" + LOADER if name == LOADER else path, data)
        ahead += needed_libraries(data)
