"""The guest that people really use: Debian 12 with systemd, cloud-init, sshd and QEMU's agent, made from its packages.

A tree is installed and becomes a file system in a mount namespace of its own
(``tree.py``); around it a disk is written that boots by BIOS and by UEFI
(``disk.py``). Nothing is mounted on the host, and nothing is installed there.
"""
