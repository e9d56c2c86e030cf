#!/usr/bin/env bash
# A disk that boots Debian's cloud kernel by itself: MBR, one active partition of ext4 with extlinux, kernel and an initrd whose init looks at
# that partition and prints the checksum of /letter on the serial port. Needs root, mkfs.ext4, sfdisk and Debian's archive.
#   make-linux-disk.sh DISK LETTER
set -euo pipefail
disk=$(realpath -m "$1") letter=$(realpath "$2")
work=$(mktemp -d)
trap 'mountpoint -q "$work/mnt" && umount "$work/mnt"; rm -rf "$work"' EXIT
mkdir "$work"/{debs,root,initrd,mnt}
cd "$work/debs"
kernel=$(apt-cache depends linux-image-cloud-amd64 | grep -o 'linux-image-[0-9][^ ]*' | head -n 1)
apt-get download -qq "$kernel" busybox-static extlinux syslinux-common
for deb in *.deb; do dpkg-deb -x "$deb" "$work/root"; done

cd "$work/initrd"
mkdir bin lib mnt proc dev
cp "$work/root/bin/busybox" bin
modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk"
for module in $modules; do find "$work/root/lib/modules" -name "$module.ko" -exec cp {} lib \;; done
cat >init <<SCRIPT
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in $modules; do /bin/busybox insmod /lib/\$module.ko; done
for wait in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/vda1 ] && break; /bin/busybox sleep 1; done
/bin/busybox mount -t ext4 -o ro /dev/vda1 /mnt
echo "LETTER \$(/bin/busybox sha256sum /mnt/letter)"
/bin/busybox poweroff -f
SCRIPT
chmod +x init
find . | "$work/root/bin/busybox" cpio -o -H newc 2>/dev/null | gzip >"$work/initrd.gz"

# Made apart: the MBR tells the boot sector where its partition lies.
truncate -s 200M "$disk"
printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$disk"
dd if="$work/root/usr/lib/syslinux/mbr/mbr.bin" of="$disk" bs=440 count=1 conv=notrunc status=none
truncate -s 199M "$work/partition"
mkfs.ext4 -q -O ^64bit,^metadata_csum "$work/partition"
mount -o loop "$work/partition" "$work/mnt"
cp "$work"/root/boot/vmlinuz-* "$work/mnt/vmlinuz"
cp "$work/initrd.gz" "$work/mnt/initrd.gz"
cp "$letter" "$work/mnt/letter"
printf 'SERIAL 0\nDEFAULT linux\nLABEL linux\n  KERNEL /vmlinuz\n  APPEND initrd=/initrd.gz console=ttyS0 panic=1\n' >"$work/mnt/extlinux.conf"
"$work/root/usr/bin/extlinux" --install "$work/mnt"
umount "$work/mnt"
dd if="$work/partition" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
