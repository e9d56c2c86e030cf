"""Fills a folder with what file systems find hard. Usage: fill-tree.py FOLDER ENTRIES [attributes] [large] [late]"""

import os
import socket
import subprocess
import sys

folder, entries, options = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def path(name):
    return os.path.join(folder, name)


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content)


os.mkdir(path("many"))
for number in range(entries):
    write(f"many/entry-{number:06d}-with-a-name", b"%d" % number if number % 50 == 0 else b"")

deep = folder
for level in range(50):
    deep = os.path.join(deep, f"level{level}")
    os.mkdir(deep)
with open(os.path.join(deep, "deep"), "wb") as file:
    file.write(b"deep")

for name in ["ünïcode 日本語 🦆", "back\\slash", "new\nline", " space ", "a" * 255]:
    write(name, name.encode())
with open(folder.encode() + b"/latin-\xfc\xff", "wb") as file:
    file.write(b"not UTF-8")

for count in range(1, 10):
    os.makedirs(path(f"few{count}"))
    for number in range(count):
        write(f"few{count}/small{number}", os.urandom(25 * (number + 1)))

# Marks around 4 GiB show a position that was cut to 32 bits.
with open(path("sparse"), "wb") as file:
    marks = [0, (1 << 20) + 77, (1 << 26) + 5] + ([(1 << 32) - 3, (1 << 32) + 4096 * 3 + 77] if "large" in options else [])
    for mark in marks:
        file.seek(mark)
        file.write(b"MARK-%d-" % mark)
with open(path("fragments"), "wb") as file:
    for number in range(1500):
        file.seek(number * 16384)
        file.write(os.urandom(100))
write("random", os.urandom(2_000_001))
write("empty", b"")
write("allocated", b"head")
file = os.open(path("allocated"), os.O_RDWR)
try:
    os.posix_fallocate(file, 0, 1_000_000)
except OSError:
    pass  # ext2 cannot: then it is a sparse file.
os.pwrite(file, b"MIDDLE", 500_000)
os.close(file)

os.link(path("random"), path("hard"))
os.link(path("random"), path("few1/hard"))
for length in [1, 59, 60, 61, 300, 1000]:
    os.symlink("t" * length, path(f"link{length}"))
os.symlink("../ünï/日本", path("link"))
os.mknod(path("character"), 0o020600, os.makedev(5, 1))
os.mknod(path("block"), 0o060640, os.makedev(259, 70000))
os.mkfifo(path("fifo"))
socket.socket(socket.AF_UNIX).bind(path("socket"))

times = [-(2**31), -1_500_000_000, 2**31 - 1] + ([2**31 + 5, 2**33 + 7] if "late" in options else [])
for number, seconds in enumerate(times):
    write(f"time{number}", b"")
    os.utime(path(f"time{number}"), ns=(0, seconds * 10**9 + (123_456_789 if "late" in options else 0)))

write("owned", b"")
os.chown(path("owned"), 70001, 4_000_000_000)
os.chmod(path("owned"), 0o4751)
os.chmod(path("few1"), 0o1777)

if "attributes" in options:
    write("marked", b"")
    os.setxattr(path("marked"), "user.comment", b"hello")
    os.setxattr(path("marked"), "user.empty", b"")
    # Names that are no text, and would be one where they are taken for it.
    os.setxattr(path("marked"), b"user.\xfe", b"one")
    os.setxattr(path("marked"), b"user.\xff", b"other")
    os.setxattr(path("marked"), "user.middle", b"m" * 500)
    os.setxattr(path("marked"), "trusted.bytes", b"\x00\x01\xff")
    os.setxattr(path("marked"), "security.capability", bytes.fromhex("0100000200200000" + "00" * 12))
    os.setxattr(path("few1"), "user.folder", b"folder")
    os.setxattr(path("link1"), "trusted.link", b"link", follow_symlinks=False)
    subprocess.check_call(["setfacl", "-m", "u:1000:rwx,g:2000:r-x,m::rwx", path("owned")])
    subprocess.check_call(["setfacl", "-d", "-m", "u:1001:rwx", path("few1")])
if "huge-attribute" in options:
    write("huge", b"")
    os.setxattr(path("huge"), "user.huge", os.urandom(20_000))
