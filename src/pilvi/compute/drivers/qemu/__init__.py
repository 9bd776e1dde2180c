"""The hypervisor driver `qemu`, split by device.

In the order in which a machine comes to life: driver (the verbs of the interface, for all machines), guest (one machine), definition (what
is remembered), disks, nics, firmware (what it is made of), machine (the command line), process (QEMU itself), qmp (the way to talk to it),
watch (what it does by itself), console (what it says), kvm (whether the host can run it fast).
"""
