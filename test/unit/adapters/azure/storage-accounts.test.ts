import { describe, expect, test } from "vitest";
import { defaultIdentity } from "../../../../shared/core/azure-identity.ts";
import { StorageAccounts } from "../../../../shared/adapters/azure/storage-accounts.ts";

const key = Buffer.alloc(64, 7).toString("base64");
const byKey = `DefaultEndpointsProtocol=https;AccountName=known;AccountKey=${key};EndpointSuffix=core.windows.net`;

describe("An account that no setting names", () => {
  test("is reached with the app's identity, where it has one: for containers, blobs, and snapshots by their account's name", async () => {
    const accounts = await StorageAccounts.open([byKey], defaultIdentity);
    expect(accounts.container("https://other.blob.core.windows.net/restored/")).toEqual({
      url: "https://other.blob.core.windows.net/restored",
      account: "other",
      container: "restored",
    });
    expect(accounts.place("https://third.blob.core.windows.net/disks/a/b.vhd")).toEqual({
      account: "third",
      container: "disks",
      blob: "a/b.vhd",
    });
    const client = accounts.pageBlob({ account: "fourth", container: "disks", blob: "os.vhd" });
    expect(client.url).toBe("https://fourth.blob.core.windows.net/disks/os.vhd");
    expect(accounts.urlOf({ account: "fourth", container: "disks", blob: "os.vhd" })).toBe(client.url);
  });

  test("is refused where only keys are configured, naming the setting to add", async () => {
    const accounts = await StorageAccounts.open([byKey]);
    expect(accounts.container("https://known.blob.core.windows.net/restored").account).toBe("known");
    expect(() => accounts.container("https://other.blob.core.windows.net/restored")).toThrow(
      expect.objectContaining({ code: "bad-input", message: expect.stringContaining("FARSIDE_ACCOUNT_<NAME>") }),
    );
  });

  test("is not taken for one of the same name that is configured with another address", async () => {
    const elsewhere = byKey.replace("core.windows.net", "core.chinacloudapi.cn");
    const accounts = await StorageAccounts.open([elsewhere], defaultIdentity);
    expect(() => accounts.place("https://known.blob.core.windows.net/disks/os.vhd")).toThrow(
      expect.objectContaining({
        code: "bad-input",
        message: expect.stringContaining("known.blob.core.chinacloudapi.cn"),
      }),
    );
  });

  test.each([
    "http://other.blob.core.windows.net/restored",
    "https://other.blob.core.windows.net:8443/restored",
    "https://other.blob.core.windows.net.example.com/restored",
    "https://a.b.blob.core.windows.net/restored",
    "https://blob.core.windows.net/restored",
    "https://127.0.0.1/other/restored",
    "https://[::1]/other/restored",
    "https://other.blob.core.windows.net@example.com/restored",
    "https://other.blob.core.windows.net./restored",
    "https://other-secondary.blob.core.windows.net/restored",
    "https://other.blob.core.windows.net%2eexample.com/restored",
  ])("is no other host: %s is sent no credential", async (url) => {
    const accounts = await StorageAccounts.open([byKey], defaultIdentity);
    expect(() => accounts.container(url)).toThrow(expect.objectContaining({ code: "bad-input" }));
  });
});

test.each([
  "HTTPS://OTHER.BLOB.CORE.WINDOWS.NET/restored//",
  "https://user:secret@other.blob.core.windows.net:443/restored",
  "https://other.blob.core.windows.net/a/../restored",
  "https://other.blob.core.windows.net\\restored",
  "https://other.blob.core.windows.net/%72estored",
])("A container's URL has one form, however it was written: %s", async (url) => {
  const accounts = await StorageAccounts.open([byKey], defaultIdentity);
  expect(accounts.container(url).url).toBe("https://other.blob.core.windows.net/restored");
});

test.each(["Restored", "a%2Fb", "a--b", "$root", "..", "", "a/b", "re%00stored", "%ff"])(
  "The name %j is no container's",
  async (name) => {
    const accounts = await StorageAccounts.open([byKey], defaultIdentity);
    expect(() => accounts.container(`https://other.blob.core.windows.net/${name}`)).toThrow(
      expect.objectContaining({ code: "bad-input" }),
    );
  },
);

test("A URL with a SAS is refused without repeating it", async () => {
  const accounts = await StorageAccounts.open([byKey], defaultIdentity);
  for (const account of ["known", "other"]) {
    const url = `https://${account}.blob.core.windows.net/restored?sv=2026&sig=very-secret`;
    expect(() => accounts.container(url)).toThrow(
      expect.objectContaining({ code: "bad-input", message: expect.stringMatching(/^(?!.*very-secret).*SAS/) }),
    );
  }
});
