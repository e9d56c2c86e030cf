"""Makes folders, removes them, and writes a file over all blocks that are then free. Usage: reuse-blocks.py FOLDER"""

import os
import sys

os.chdir(sys.argv[1])
root = os.open(".", os.O_RDONLY)


def free():
    return os.statvfs(".").f_bavail * os.statvfs(".").f_frsize


# Little room is left, so that the blocks of the folders are taken again.
filler = os.open("filler", os.O_CREAT | os.O_RDWR)
os.posix_fallocate(filler, 0, free() - 60 * 4096)
os.fsync(filler)
for number in range(40):
    os.mkdir(f"passing{number}")
os.fsync(root)
for number in range(40):
    os.rmdir(f"passing{number}")
os.fsync(root)
content = os.open("content", os.O_CREAT | os.O_RDWR)
try:
    while True:
        os.write(content, b"A" * 4096)
        os.fsync(content)
except OSError:
    pass  # Full, as wanted.
