/** What `farside export` takes and tells: restore points by name, and ready-made lines for clients. */
import { describe, expect, test } from "vitest";
import { clientTasks, clientUri } from "../../../cli/nbd-clients.ts";
import { parseVmAtPoint } from "../../../cli/vm-at-point.ts";

describe("A restore point", () => {
  test.each([
    ["web1", { vm: "web1", point: "latest" }],
    ["web1@latest", { vm: "web1", point: "latest" }],
    ["web1@01M7Y3JTVJQ3629HETPB2YFR75", { vm: "web1", point: "01M7Y3JTVJQ3629HETPB2YFR75" }],
  ])("is named by %s", (text, expected) => expect(parseVmAtPoint(text)).toEqual(expected));

  test.each(["", "@latest", "web1@", "web1@a@b"])("is not named by %j", (text) => {
    expect(() => parseVmAtPoint(text)).toThrow("write VM or VM@POINT");
  });
});

describe("Lines for clients", () => {
  const unix = { reachedAt: { kind: "unix", path: "/tmp/a,b/it's.sock" }, tls: false } as const;
  const lines = (...args: Parameters<typeof clientTasks>): readonly string[] =>
    clientTasks(...args).flatMap((task) => task.lines);

  test("of a unix socket can be pasted into a shell, whatever the path", () => {
    const socket = "/tmp/a%2Cb/it%27s.sock";
    expect(lines(unix, ["os", "data"], "lvm/vg 1/web")).toEqual([
      `nbdinfo --list 'nbd+unix:///?socket=${socket}'`,
      `nbdinfo --map --totals 'nbd+unix:///os?socket=${socket}'`,
      `nbdcopy 'nbd+unix:///os?socket=${socket}' os.raw`,
      `qemu-img convert -p -f raw -O qcow2 'nbd+unix:///os?socket=${socket}' os.qcow2`,
      "mkdir -p nbd mnt",
      `nbdfuse nbd/image [ nbdkit --exit-with-parent --filter=cow nbd 'uri=nbd+unix:///lvm/vg%201/web?socket=${socket}' ] &`,
      "sudo mount -o loop nbd/image mnt",
      "sudo umount mnt; fusermount3 -u nbd",
      `guestfish --ro --format=raw -a 'nbd:///os?socket=${socket}' --format=raw -a 'nbd:///data?socket=${socket}' -i`,
      `qemu-system-x86_64 -m 2048 -snapshot -drive 'file=nbd+unix:///os?socket=${socket},format=raw,if=virtio' -drive 'file=nbd+unix:///data?socket=${socket},format=raw,if=virtio'`,
    ]);
  });

  test("over TLS name the client's certificates, and leave out who cannot take them", () => {
    const tls = { reachedAt: { kind: "tcp", host: "backup.example", port: 10809 }, tls: true } as const;
    expect(clientUri(tls, "os")).toBe("nbds://backup.example:10809/os?tls-certificates=CERTIFICATES");
    expect(clientUri({ ...unix, tls: true }, "os")).toContain(".sock&tls-certificates=CERTIFICATES");
    const told = lines(tls, ["os"], undefined);
    expect(told.at(-1)).toBe(
      "qemu-img convert -p --object tls-creds-x509,id=tls0,endpoint=client,dir=CERTIFICATES --image-opts driver=nbd,export=os,tls-creds=tls0,server.type=inet,server.host=backup.example,server.port=10809 -O qcow2 os.qcow2",
    );
    expect(told.join("\n")).not.toMatch(/guestfish|qemu-system|nbdfuse/);
  });

  test("are none where no disk is served", () => expect(clientTasks(unix, [], undefined)).toEqual([]));
});
