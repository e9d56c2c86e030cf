"""Makes an encrypted folder with a file and a link in it (fscrypt, include/uapi/linux/fscrypt.h). Usage: encrypt-folder.py MOUNT NAME"""

import fcntl
import os
import struct
import sys

mount, folder = sys.argv[1], os.path.join(sys.argv[1], sys.argv[2])
os.mkdir(folder)
# FS_IOC_ADD_ENCRYPTION_KEY: the kernel answers with the key's identifier.
argument = bytearray(struct.pack("<II32sII32x", 2, 0, b"", 64, 0) + os.urandom(64))
root = os.open(mount, os.O_RDONLY)
fcntl.ioctl(root, 0xC0506617, argument)
# FS_IOC_SET_ENCRYPTION_POLICY, version 2: AES-256-XTS for content, AES-256-CTS for names.
policy = struct.pack("<BBBB4x16s", 2, 1, 4, 3, bytes(argument[8:24]))
fcntl.ioctl(os.open(folder, os.O_RDONLY), 0x800C6613, policy)
with open(os.path.join(folder, "secret"), "w") as file:
    file.write("secret")
os.symlink("target", os.path.join(folder, "link"))
