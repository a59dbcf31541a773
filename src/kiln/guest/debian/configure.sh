#!/bin/sh
# What the tree in $1 needs beside its packages. Run by mmdebstrap when all of them are installed, in the namespaces of
# the build. $KILN_CMDLINE is the kernel's command line.
set -eu
root=$1

# Sources as on any Debian 12: those of the host that built it may be mirrors that only it can reach.
rm -rf "$root"/etc/apt/sources.list.d/*
cat >"$root/etc/apt/sources.list" <<'X'
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
X

# One card, by DHCP. The client identifies itself by the card: two instances of one image have one machine-id until
# systemd has given each its own.
mkdir -p "$root/etc/systemd/network" "$root/etc/cloud/cloud.cfg.d"
cat >"$root/etc/systemd/network/10-all.network" <<'X'
[Match]
Type=ether
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
UseHostname=no
UseMTU=yes
ClientIdentifier=mac
X
rm -f "$root/etc/resolv.conf"
printf 'nameserver 100.100.2.136\nnameserver 100.100.2.138\n' >"$root/etc/resolv.conf"

# As Alibaba Cloud's images: who logs in is root. cloud-init-local stays: without it an image that was made of an
# instance keeps that instance's keys and name.
cat >"$root/etc/cloud/cloud.cfg.d/90_kiln.cfg" <<'X'
datasource_list: [ AliYun, None ]
datasource:
  AliYun: { timeout: 5, max_wait: 60 }
network: { config: disabled }
disable_root: false
ssh_pwauth: true
users: [ default ]
manage_etc_hosts: localhost
ssh_genkeytypes: [ ed25519 ]
system_info:
  default_user: { name: root, lock_passwd: false }
cloud_init_modules: [ seed_random, bootcmd, write-files, set_hostname, users-groups, ssh ]
cloud_config_modules: [ set-passwords, runcmd ]
cloud_final_modules: [ write-files-deferred, scripts-vendor, scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, final-message ]
X
printf 'PermitRootLogin yes\nUseDNS no\n' >"$root/etc/ssh/sshd_config.d/10-root.conf"

wanted() {
    mkdir -p "$root/etc/systemd/system/$2"
    ln -sf "/lib/systemd/system/$1" "$root/etc/systemd/system/$2/$1"
}
wanted systemd-networkd.service multi-user.target.wants
wanted systemd-networkd.socket sockets.target.wants
wanted systemd-networkd-wait-online.service network-online.target.wants
rm -f "$root"/etc/systemd/system/*.wants/networking.service

# The disk grows without Python: the partition by systemd-repart, the file system by its mount (fstab).
mkdir -p "$root/etc/repart.d"
printf '[Partition]\nType=root\n' >"$root/etc/repart.d/50-root.conf"

# An instance that is made of an instance's image is another one to cloud-init, and then has a machine-id of its own.
scripts=$root/var/lib/cloud/scripts/per-instance
mkdir -p "$scripts"
cat >"$scripts/machine-id" <<'X'
#!/bin/sh
rm -f /etc/machine-id /var/lib/dbus/machine-id
exec systemd-machine-id-setup
X
chmod +x "$scripts/machine-id"

# What nobody needs in a guest of a minute's life, each some tenths of a second of its start. logind and dbus stay:
# without them nobody hears the power button.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer man-db.timer getty@tty1.service systemd-timesyncd.service networking.service dev-hugepages.mount \
    dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
    sys-kernel-config.mount modprobe@configfs.service modprobe@drm.service modprobe@fuse.service \
    modprobe@efi_pstore.service modprobe@dm_mod.service modprobe@loop.service systemd-pstore.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-rfkill.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

# A small initrd: it has to find one disk.
printf 'MODULES=list\nCOMPRESS=zstd\n' >"$root/etc/initramfs-tools/conf.d/kiln"
printf 'virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n' >>"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u >&2

# GRUB as grub-install would leave it; update-grub goes on with these defaults after an upgrade of the kernel.
mkdir -p "$root/boot/grub/i386-pc" "$root/etc/default"
cat >"$root/etc/default/grub" <<X
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_CMDLINE_LINUX="$KILN_CMDLINE"
GRUB_TERMINAL="console serial"
GRUB_DISABLE_OS_PROBER=true
X
cp "$root"/usr/lib/grub/i386-pc/*.mod "$root"/usr/lib/grub/i386-pc/*.lst "$root/boot/grub/i386-pc/"
# Words, to be split.
# shellcheck disable=SC2086
chroot "$root" grub-mkimage -O i386-pc -p '(hd0,gpt1)/boot/grub' -o /boot/grub/i386-pc/core.img \
    biosdisk part_gpt ext2 normal linux configfile search search_fs_uuid serial test echo minicmd boot
cp "$root/usr/lib/grub/i386-pc/boot.img" "$root/boot/grub/i386-pc/boot.img"
version=$(basename "$root"/boot/vmlinuz-* | sed 's/^vmlinuz-//')
cat >"$root/boot/grub/grub.cfg" <<X
set root=(hd0,gpt1)
set timeout=0
linux /boot/vmlinuz-$version root=UUID=$KILN_UUID rw $KILN_CMDLINE
initrd /boot/initrd.img-$version
boot
X
printf 'UUID=%s / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1\n' "$KILN_UUID" >"$root/etc/fstab"

# Nothing that one guest alone may have: each makes its own at its first start.
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root"/var/lib/systemd/random-seed
: >"$root/etc/machine-id"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb "$root"/var/log/*.log "$root"/var/log/apt/* "$root"/var/cache/apt/*.bin

# What is made lies in a folder that nobody else can write to, and that was not there before: others may be able to
# write beside it. The file system is of the tree alone: behind a bind mount nothing is to be seen that is mounted in it.
made=$KILN_OUT/made
mkdir -m 0755 "$made" "$made/bound"
cp "$root/usr/lib/grub/i386-pc/boot.img" "$root/boot/grub/i386-pc/core.img" \
    "$root/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi" "$made/"
mount --bind "$root" "$made/bound"
mke2fs -q -F -t ext4 -m 1 -U "$KILN_UUID" -L root -d "$made/bound" "$made/root.ext4" "$KILN_SIZE"
umount "$made/bound"
rmdir "$made/bound"
chmod a+r "$made"/*
