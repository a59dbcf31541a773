#!/bin/sh
# The one program of Kiln's small guest: it is process 1 and never ends.
#
# It loads drivers, mounts the disks, starts the guest agent and then obeys one
# command a line on the serial console; each is answered with one line,
# ">> ok TEXT" or ">> error TEXT". An empty line is answered with READY, so that
# whoever connects late learns that the guest is up.
export PATH=/bin
READY='KILN-GUEST READY'
CONSOLE=/dev/ttyS0
COMMANDS='run COMMAND, read PATH, write PATH TEXT, sum PATH, remove PATH, disks, network, fetch URL, uptime, sync, reboot, poweroff'

ok() { echo ">> ok $*"; }
error() { echo ">> error $*"; }

# Prints the disks' kernel names, vda first; their letters are given in the order of the slots.
disk_names() {
    for path in /sys/block/vd?; do [ -e "$path" ] && echo "${path##*/}"; done
}

serial_of() { cat "/sys/block/$1/serial" 2>/dev/null; }

# /dataN of a disk: vda is 0, vdb is 1 and so on.
folder_of() {
    letters=abcdefghijklmnopqrstuvwxyz
    before=${letters%%"${1#vd}"*}
    echo "/data${#before}"
}

is_blank() { [ -z "$(head -c 65536 "/dev/$1" | tr -d '\000' | head -c 1)" ]; }

# Mounts every disk that is not mounted yet, and formats the blank ones. A disk made from a system
# disk has the boot loader's partition first and the files in the second.
mount_disks() {
    for disk in $(disk_names); do
        folder=$(folder_of "$disk")
        grep -q " $folder " /proc/mounts && continue
        volume=$disk
        [ -e "/sys/block/$disk/${disk}2" ] && volume=${disk}2
        # With its path, since busybox has a lesser mke2fs of its own. Laziness keeps the new file system's overlay small: nothing but the superblocks is written.
        is_blank "$volume" && /bin/mke2fs -q -F -t ext4 -m 0 -J size=4 \
            -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "/dev/$volume" </dev/null >/run/mke2fs.log 2>&1
        mkdir -p "$folder"
        mount -t ext4 -o noatime,noinit_itable "/dev/$volume" "$folder" 2>/dev/null || rmdir "$folder"
    done
}

mounted() { grep -o ' /data[0-9]* ' /proc/mounts | tr -d '\n' | sed 's/^ *//; s/ *$//; s/  */ /g'; }

start_agent() {
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name" 2>/dev/null)" = org.qemu.guest_agent.0 ] || continue
        qemu-ga -m virtio-serial -p "/dev/${port##*/}" -t /run </dev/null >/run/agent.log 2>&1 &
        echo $! >/run/agent.pid
    done
}

stop_agent() {
    [ -e /run/agent.pid ] || return
    # An agent that is just starting loses a signal that it could handle.
    kill -9 "$(cat /run/agent.pid)"
    wait "$(cat /run/agent.pid)"
    rm /run/agent.pid
}

let_go() {
    for folder in $(mounted); do umount "$folder" 2>/dev/null || mount -o remount,ro "$folder" 2>/dev/null; done
    sync
}

# Counts up and writes the number into the second sector of every disk, in the order of their serial
# numbers, each on the medium before the next is begun. Nobody else uses that sector: file systems
# leave their first 1024 bytes alone and the partitions begin later.
count() {
    disks=$(for disk in $(disk_names); do echo "$(serial_of "$disk")/$disk"; done | sort)
    number=0
    until [ -e /run/seq.stop ]; do
        number=$((number + 1))
        for disk in $disks; do
            printf '%-512s' "$number" | dd of="/dev/${disk##*/}" bs=512 seek=1 conv=notrunc,fsync 2>/dev/null
        done
        echo "$number" >/run/seq
    done
}

network() {
    for module in failover net_failover virtio_net; do insmod "/modules/$module.ko" 2>/dev/null; done
    ip link set lo up
    ip link set eth0 up 2>/dev/null || return 1
    # For minutes: a host that does twenty other things may be slower to answer than three tries of three seconds.
    udhcpc -q -n -f -t 100 -T 3 -i eth0 -s /bin/lease >/run/udhcpc.log 2>&1
}

obey() {
    verb=$1 first=$2 rest=$3
    case $verb in
    '') echo "$READY" ;;
    write) if echo "$rest" >"$first"; then ok; else error "cannot write $first"; fi ;;
    read) if [ -r "$first" ]; then ok "$(cat "$first")"; else error "no file $first"; fi ;;
    sum) if [ -r "$first" ]; then ok "$(sha256sum <"$first" | cut -d ' ' -f 1)"; else error "no file $first"; fi ;;
    remove) if rm "$first"; then ok; else error "cannot remove $first"; fi ;;
    fill) if dd if=/dev/urandom of="$first" bs=1M count="$rest" 2>/dev/null; then ok; else error "no room"; fi ;;
    sync) sync && ok ;;
    mount) mount_disks; ok "$(mounted)" ;;
    unmount) if umount "$first"; then rmdir "$first"; ok; else error "cannot unmount $first"; fi ;;
    disks)
        list=
        for disk in $(disk_names); do
            list="$list $(serial_of "$disk")=$disk:$(($(cat "/sys/block/$disk/size") * 512))"
        done
        ok "${list# }" ;;
    seq)
        case $first in
        start) rm -f /run/seq.stop; count & echo $! >/run/seq.pid; ok ;;
        stop) : >/run/seq.stop; wait "$(cat /run/seq.pid)"; ok "$(cat /run/seq)" ;;
        *) ok "$(cat /run/seq)" ;;
        esac ;;
    agent) if [ "$first" = stop ]; then stop_agent; else start_agent; fi; ok ;;
    network) if network; then ok "$(ip -4 -o addr show eth0 | sed 's/.*inet \([^/]*\).*/\1/')"; else error 'no network'; fi ;;
    # Not with wget's own -T, at which busybox's wget dies.
    fetch) if text=$(timeout 300 wget -q -O - "$first"); then ok "$(echo "$text" | tr '\n' ' ')"; else error "cannot fetch $first"; fi ;;
    serve) while :; do echo "$rest" | nc -l -p "$first"; done >/dev/null 2>&1 & ok ;;
    run) ok "$(eval "$first $rest" 2>&1 | tr '\n' ' ')" ;;
    uptime) ok "$(cut -d ' ' -f 1 /proc/uptime)" ;;
    cmdline) ok "$(cat /proc/cmdline)" ;;
    poweroff) ok; let_go; poweroff -f ;;
    reboot) ok; let_go; reboot -f ;;
    help) ok "$COMMANDS" ;;
    *) error "no command $verb; there are: $COMMANDS" ;;
    esac 2>/run/error
}

# The power button runs this file again under another name.
if [ "$1" = --power-button ]; then
    let_go
    poweroff -f
fi

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec <$CONSOLE
exec >$CONSOLE 2>&1
# With echo and carriage returns, as whoever types at a terminal expects; who sends commands skips both.
stty echo onlcr
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console \
    evdev button; do
    insmod "/modules/$module.ko"
done
mount_disks
start_agent
acpid -f -l /run/acpid.log -c /etc/acpi </dev/null >/dev/null 2>&1 &
echo "$READY"
while :; do
    IFS=' ' read -r verb first rest && obey "$verb" "$first" "$rest"
done
