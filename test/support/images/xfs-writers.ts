/** What tests write into mounted file systems, as Python: names of any bytes, devices, attributes and sparse files are one call there. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { tool } from "../tools.ts";

const run = promisify(execFile);

/** Runs in the folder. Throws with the script's own words. */
export async function runPython(script: string, folder: string): Promise<void> {
  await run(tool("python3"), ["-c", script], { cwd: folder });
}

/** One of each kind that XFS stores in a way of its own. `manyCount`: entries of the largest directory. */
export function everyKind(manyCount: number): string {
  return `
import os, socket, subprocess
def write(name, data=b""):
  with open(name, "wb") as f: f.write(data)
def folder(name, names):
  os.mkdir(name)
  for n in names: write(name + "/" + n)
# Directories: within the inode, one block, one leaf, nodes, with holes, deep.
folder("small", ["s%d" % i for i in range(5)])
folder("block", ["some name %d" % i for i in range(60)])
folder("leaf", ["some longer name for it %d" % i for i in range(800)])
folder("many", ["entry %d %s" % (i, "x" * (i % 60)) for i in range(${manyCount})])
folder("holes", ["some longer name for it %d" % i for i in range(3000)])
for i in range(3000):
  if i % 37 and not 2000 < i < 2050: os.unlink("holes/some longer name for it %d" % i)
path = "deep"
os.mkdir(path)
for i in range(150):
  path += "/d%d" % i
  os.mkdir(path)
  write(path + "/f", path.encode())
# Names.
os.mkdir("名前"); write("名前/файл ☃", b"x"); write("ünï", b"u")
write(b"bad\\xff\\xfename", b"y"); write("back\\\\x41slash", b"z"); write("n" * 255, b"long")
# Content: sparse beyond 4 GiB, thousands of extents, reserved and never written, empty.
with open("sparse", "wb") as f:
  f.write(b"start"); f.seek(5 * 2**30 + 77); f.write(b"MARK"); f.truncate(9 * 2**30)
f = os.open("fragmented", os.O_RDWR | os.O_CREAT)
for i in range(4000): os.pwrite(f, bytes([i % 255 + 1]) * 4096, i * 8192)
os.close(f)
f = os.open("unwritten", os.O_RDWR | os.O_CREAT)
os.posix_fallocate(f, 0, 3000000); os.pwrite(f, b"hello", 1000000); os.close(f)
write("big", os.urandom(3000001)); write("empty")
os.link("big", "small/hard")
os.symlink("x" * 20, "short"); os.symlink("y" * 1022, "long"); os.symlink("ü/" * 150, "medium")
os.mkfifo("fifo"); os.mknod("chr", 0o20640, os.makedev(5, 300)); os.mknod("blk", 0o60600, os.makedev(259, 70000))
socket.socket(socket.AF_UNIX).bind("sock")
# Attributes: within the inode, one leaf, nodes, values in blocks of their own.
os.setxattr("big", "user.small", b"v"); os.setxattr("big", "user.large", os.urandom(40000)); os.setxattr("big", "trusted.t", b"tt")
os.setxattr("empty", "user.one", b"1"); os.setxattr("empty", "security.capability", bytes.fromhex("01000002" + "02" + "00" * 15))
write("attributes leaf"); write("attributes node")
for i in range(30): os.setxattr("attributes leaf", "user.a%d" % i, b"q" * (i * 9))
for i in range(20): os.removexattr("attributes leaf", "user.a%d" % i)
for i in range(800): os.setxattr("attributes node", "user.attr%d" % i, (b"%d" % i) * (i % 90))
os.setxattr("many", "user.dir", b"1"); os.setxattr("long", "trusted.link", b"l", follow_symlinks=False)
subprocess.run(["setfacl", "-m", "u:1000:rwx,g:50:r,m:rwx", "big"], check=True)
subprocess.run(["setfacl", "-d", "-m", "u:1000:rwx,o::-", "deep"], check=True)
# Owners, modes, times before 1970 and beyond 2038 (where the file system can).
os.chown("big", 1000, 100001); os.chmod("big", 0o4751); os.chmod("deep", 0o1777)
os.utime("small", ns=(10**18, -5 * 10**9 - 123)); os.utime("empty", ns=(0, 1234567890123456789)); os.utime("ünï", ns=(0, 5 * 10**18))
`;
}

const prelude = `
import os, random, shutil
random.seed(5)
def put(name, data, sync=True):
  f = os.open(name, os.O_WRONLY | os.O_CREAT)
  os.write(f, data)
  if sync: os.fsync(f)
  os.close(f)
`;

/** Programs whose power fails at their end: what they synced must be there. */
export const crashWriters = {
  /** As a mail server: each file synced, some renamed, some removed, folders, attributes. */
  synced: `${prelude}
for i in range(400):
  put("f%d" % i, b"content %d" % i * 50)
  if i % 3 == 0: os.rename("f%d" % i, "renamed%d" % i)
  elif i % 7 == 1: os.unlink("f%d" % i)
  if i % 10 == 0:
    os.mkdir("d%d" % i)
    put("d%d/in" % i, b"i")
  if i % 11 == 0: os.setxattr("d%d/in" % (i // 10 * 10), "user.x%d" % i, b"v" * (i * 5))
put("DONE", b"")
`,
  /** Enough changes to go round the log of 64 MiB; folders and blocks of metadata are freed and used again. */
  roundTheLog: `${prelude}
names = []
for i in range(20000):
  r = random.random()
  if r < 0.5 or len(names) < 10:
    n = "dir%d/name %d %s" % (i % 20, i, "x" * (i % 90))
    os.makedirs(os.path.dirname(n), exist_ok=True)
    put(n, b"%d " % i * random.randrange(3000), random.random() < 0.05)
    names.append(n)
  elif r < 0.75: os.unlink(names.pop(random.randrange(len(names))))
  elif r < 0.85:
    k = random.randrange(len(names))
    if len(names[k]) < 240:
      os.rename(names[k], names[k] + "r")
      names[k] += "r"
  elif r < 0.95:
    try: os.setxattr(random.choice(names), "user.a%d" % random.randrange(30), b"z" * random.randrange(1500))
    except OSError: pass
  else: os.symlink("t" * random.randrange(1, 900), "dir0/link%d" % i)
  if i == 15000: os.sync()
shutil.rmtree("dir7"); shutil.rmtree("dir8")
put("DONE", b"")
`,
  /** Files whose extents change: thousands of them, shared, cut, collapsed, punched. */
  extents: `${prelude}
import subprocess
f = os.open("fragments", os.O_RDWR | os.O_CREAT)
for i in range(3000): os.pwrite(f, bytes([i % 255 + 1]) * 4096, i * 8192)
os.fsync(f)
for i in range(0, 3000, 3): os.posix_fallocate(f, i * 8192 + 4096, 4096)
os.fsync(f)
os.ftruncate(f, 12 * 2**20); os.fsync(f)
g = os.open("far", os.O_RDWR | os.O_CREAT)
os.pwrite(g, b"q" * 1000000, 2**33); os.fsync(g)
subprocess.run(["cp", "--reflink=auto", "fragments", "clone"], check=True)
c = os.open("clone", os.O_RDWR)
os.pwrite(c, random.randbytes(2000000), 100 * 4096); os.fsync(c)
subprocess.run(["/usr/sbin/xfs_io", "-c", "fcollapse 8192 8192", "-c", "fsync", "fragments"], check=True)
subprocess.run(["/usr/sbin/xfs_io", "-c", "fpunch 0 65536", "-c", "fzero 100000 200000", "-c", "fsync", "far"], check=True)
put("DONE", b"")
`,
} as const;

/** A little of everything, for tests that read the image hundreds of times. */
export const smallTree = `${prelude}
for size in (5, 60, 700):
  os.mkdir("dir%d" % size)
  for i in range(size): os.link("dir%d/0" % size, "dir%d/a name of a link %d" % (size, i)) if i else put("dir%d/0" % size, b"x", False)
f = os.open("fragments", os.O_RDWR | os.O_CREAT)
for i in range(600): os.pwrite(f, b"f" * 4096, i * 8192)
os.close(f)
os.symlink("t" * 1000, "long"); os.symlink("t", "short"); os.mknod("chr", 0o20640, os.makedev(5, 300))
put("attributes", b"", False); put("value", b"", False)
for i in range(300): os.setxattr("attributes", "user.attr%d" % i, b"v" * (i % 90))
os.setxattr("value", "user.large", b"l" * 20000)
`;

/** A short log with items of each kind. */
export const smallLog = `${prelude}
for i in range(30):
  os.mkdir("d%d" % i)
  put("d%d/f" % i, b"c" * 5000)
  os.setxattr("d%d/f" % i, "user.x", b"v" * i * 40)
  if i % 5 == 0: os.rename("d%d/f" % i, "moved%d" % i)
  if i % 5 == 1: os.unlink("d%d/f" % i)
f = os.open("fragments", os.O_RDWR | os.O_CREAT)
for i in range(100): os.pwrite(f, b"f" * 4096, i * 8192)
os.fsync(f)
put("DONE", b"")
`;
