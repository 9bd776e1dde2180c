"""The guest image: a small Linux for the cloud's own tests and demonstrations, put together out of Debian packages.

Counterpart: CirrOS. The result is a bootable qcow2 disk, and the kernel and initramfs for direct boot. A build downloads .deb files
and rearranges bytes: it needs no root, mounts nothing, uses no loop device and boots nothing, and the same packages give the same
bytes. The order of a build: `packages` (which, download, unpack), `kernel_modules` (which the guest needs), `root` and `initramfs`
(file trees in memory, see `tree`), `ext4` and `disk` (trees to disks), put in sequence by `build`. What runs inside the guest lies
in `files/`. Nothing else of Pilvi is known here.
"""
