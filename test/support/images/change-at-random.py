"""Changes a tree at random, then lets the power fail at once. Usage: change-at-random.py FOLDER SEED STEPS

Files are written, cut, punched, moved over each other and linked; folders, links and attributes come and go; some of it is made
durable. It goes on with what an earlier run left. Where there is no room, or a thing is not possible, the next step follows.
"""

import ctypes
import errno
import fcntl
import os
import random
import shutil
import struct
import sys

seed, steps = int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
top = os.open(".", os.O_RDONLY)
block = 4096
# FALLOC_FL_* of linux/falloc.h: keep size, punch hole, collapse range, zero range, insert range.
keep_size, punch, collapse, zero, insert = 1, 2, 8, 16, 32
# XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN; FICLONE.
shut_down, clone = 0x8004587D, 0x40049409
gone = (errno.EIO, 117)  # The file system itself gave up: EIO, EUCLEAN.


def allocate(file, mode, offset, length):
    if libc.fallocate(file, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def tree():
    folders, files = ["."], []
    for at, inner, names in os.walk("."):
        folders += [os.path.join(at, name) for name in inner]
        files += [path for path in (os.path.join(at, name) for name in names) if not os.path.islink(path)]
    return folders, sorted(files)


def fresh(folders):
    return os.path.join(chance.choice(folders), f"n{chance.randrange(3000)}" + "x" * chance.choice([0, 3, 40, 200]))


def write_file(folders, files):
    path = fresh(folders)
    with open(path, "wb") as file:
        file.write(chance.randbytes(chance.choice([0, 1, 50, 150, 4096, 5000, 40000])))
        if chance.random() < 0.3:
            file.flush()
            os.fsync(file.fileno())
    if path not in files:
        files.append(path)


def change_file(_, files):
    file = os.open(chance.choice(files), os.O_RDWR)
    try:
        size = os.fstat(file).st_size
        offset = chance.randrange(size + 20000)
        chance.choice(
            [
                lambda: os.pwrite(file, chance.randbytes(chance.randrange(1, 30000)), offset),
                lambda: os.ftruncate(file, chance.randrange(size + 1)),
                lambda: os.ftruncate(file, size + chance.randrange(100000)),
                lambda: allocate(file, punch | keep_size, offset, chance.randrange(1, 60000)),
                lambda: allocate(file, chance.choice([0, keep_size]), offset, chance.randrange(1, 200000)),
                lambda: allocate(file, zero, offset, chance.randrange(1, 60000)),
                lambda: allocate(file, chance.choice([collapse, insert]), offset // block * block, block),
                lambda: [os.pwrite(file, b"z" * 512, number * 9000) for number in range(chance.randrange(200))],
            ]
        )()
        if chance.random() < 0.3:
            os.fsync(file)
    finally:
        os.close(file)


def remove_file(_, files):
    os.unlink(files.pop(chance.randrange(len(files))))


def move_file(folders, files):
    old = files.pop(chance.randrange(len(files)))
    new = chance.choice(files) if chance.random() < 0.4 else fresh(folders)
    os.rename(old, new)
    if new not in files:
        files.append(new)


def link_file(folders, files):
    path = fresh(folders)
    os.link(chance.choice(files), path)
    files.append(path)


def make_folder(folders, files):
    path = fresh(folders) + "d"
    os.mkdir(path)
    folders.append(path)
    for number in range(chance.choice([0, 0, 0, 30, 300])):
        os.link(files[0], f"{path}/e{number}" + "y" * chance.randrange(60))


def remove_folder(folders, files):
    path = chance.choice(folders[1:])
    shutil.rmtree(path)
    folders[:] = [folder for folder in folders if folder != path and not folder.startswith(path + "/")]
    files[:] = [file for file in files if not file.startswith(path + "/")]


def make_link(folders, _):
    os.symlink("t" * chance.choice([1, 30, 59, 60, 61, 200, 900]), fresh(folders))


def change_attribute(folders, files):
    name = chance.choice(["user.", "trusted.", "security."]) + f"a{chance.randrange(12)}"
    path = chance.choice(files + folders[1:])
    if chance.random() < 0.7:
        os.setxattr(path, name, chance.randbytes(chance.choice([0, 5, 40, 300, 900, 3000, 9000])))
    else:
        os.removexattr(path, name)


def change_owner(_, files):
    path = chance.choice(files)
    os.chmod(path, chance.randrange(4096))
    os.chown(path, chance.randrange(200000), chance.randrange(200000))


def share_blocks(_, files):
    with open(chance.choice(files), "rb") as source, open(chance.choice(files), "r+b") as target:
        fcntl.ioctl(target.fileno(), clone, source.fileno())


def make_durable(*_):
    os.fsync(top)


kinds = {
    write_file: 22, change_file: 23, remove_file: 10, move_file: 11, link_file: 6, make_folder: 5, remove_folder: 3,
    make_link: 4, change_attribute: 10, change_owner: 2, share_blocks: 2, make_durable: 2,
}  # fmt: skip
folders, files = tree()
for _ in range(steps):
    step = write_file if len(files) < 5 or len(folders) < 3 and chance.random() < 0.5 else None
    try:
        (step or chance.choices(list(kinds), list(kinds.values()))[0])(folders, files)
    except (OSError, IndexError, shutil.Error) as error:
        if getattr(error, "errno", 0) in gone:
            raise
        if getattr(error, "errno", errno.ENOENT) == errno.ENOENT:
            folders, files = tree()
fcntl.ioctl(top, shut_down, struct.pack("I", 2))
