"""The small guest: a bootable disk made from Debian's own packages, for the demonstration, the tests and the KVM probe.

It boots from its own disk through a boot loader, runs one shell script
(``init.sh``) and obeys commands on its serial console. Knows nothing of
instances, images or pools.
"""
