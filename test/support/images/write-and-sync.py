"""Writes files, renames and deletes them, each step made durable before the next. Usage: write-and-sync.py FOLDER FILES

DONE has a line for each file that must be there afterwards: its name and SHA-256, or "gone".
"""

import hashlib
import os
import sys

folder, files = sys.argv[1], int(sys.argv[2])


def sync(path):
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


with open(os.path.join(folder, "DONE"), "w") as done:
    for number in range(files):
        parent = os.path.join(folder, f"folder{number % 17}")
        os.makedirs(parent, exist_ok=True)
        content = os.urandom(1 + number * 7919 % 30_000)
        if number % 9 == 0:
            # What a journal marks its own blocks with: in data=journal mode these blocks are escaped.
            content = b"\xc0\x3b\x39\x98" + content
        name = f"folder{number % 17}/file{number}"
        with open(os.path.join(folder, name + ".new"), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))
        sync(parent)
        done.write(f"{name} {hashlib.sha256(content).hexdigest()}\n")
        if number % 5 == 4:
            old = f"folder{(number - 3) % 17}/file{number - 3}"
            os.unlink(os.path.join(folder, old))
            sync(os.path.dirname(os.path.join(folder, old)))
            done.write(f"{old} gone\n")
        done.flush()
        os.fsync(done.fileno())
