import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readAccountsConfig, readConfig, readVaultConfig } from "../../../shared/config/config.ts";
import { farsideVersion } from "../../../shared/config/version.ts";
import { FarsideError } from "../../../shared/core/errors.ts";

const key = Buffer.alloc(32, 7).toString("base64");
const connectionString = (account: string): string =>
  `DefaultEndpointsProtocol=https;AccountName=${account};AccountKey=${key};EndpointSuffix=core.windows.net`;
const local = `DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=${key};BlobEndpoint=http://127.0.0.1:10000/acct`;

const whole = {
  AzureWebJobsStorage: connectionString("host"),
  FARSIDE_STATE: connectionString("state"),
  FARSIDE_VAULT: "https://vaultacct.blob.core.windows.net/vault",
  FARSIDE_PASSPHRASE: "correct horse battery staple",
  FARSIDE_ACCOUNT_SOURCE: connectionString("source"),
};
const clientId = "0a1b2c3d-0000-4000-8000-000000000001";
const hostJson = JSON.stringify({ version: "2.0", functionTimeout: "00:10:00" });

function errorOf(read: () => unknown): FarsideError {
  try {
    read();
  } catch (error) {
    if (error instanceof FarsideError && error.code === "bad-configuration") return error;
    throw error;
  }
  throw new Error("No problem was found.");
}

function problemsOf(read: () => unknown): Readonly<Record<string, string>> {
  const problems = errorOf(read).details["problems"] as { setting: string; problem: string }[];
  return Object.fromEntries(problems.map(({ setting, problem }) => [setting, problem]));
}

describe("The settings of the app", () => {
  test("are read with their defaults", () => {
    expect(readConfig(whole, hostJson)).toEqual({
      state: { kind: "connection-string", connectionString: whole.FARSIDE_STATE },
      vault: { kind: "url", url: whole.FARSIDE_VAULT, identity: { kind: "default" } },
      passphrase: { kind: "text", text: whole.FARSIDE_PASSPHRASE },
      accounts: [
        {
          label: "source",
          account: "source",
          blobEndpoint: "https://source.blob.core.windows.net",
          connectionString: whole.FARSIDE_ACCOUNT_SOURCE,
        },
      ],
      arm: { kind: "azure", identity: { kind: "default" } },
      discovery: { scopes: [], tag: "farside-policy" },
      limits: {
        windowBytes: 1024 ** 3,
        stepBudgetMs: 240_000,
        windowsAhead: 8,
        chunksAtOnce: 6,
        sampleChunks: 4,
      },
    });
  });

  test("fit an identity in place of a connection string", () => {
    const { FARSIDE_STATE: _, ...rest } = whole;
    const { state } = readConfig(
      { ...rest, FARSIDE_STATE__accountName: "st", FARSIDE_STATE__clientId: clientId },
      hostJson,
    );
    expect(state).toEqual({
      kind: "identity",
      queueServiceUri: "https://st.queue.core.windows.net",
      tableServiceUri: "https://st.table.core.windows.net",
      identity: { kind: "default", clientId },
    });
  });

  test("name an identity for ARM, or a local stand-in, which is on this machine and nowhere else", () => {
    const armOf = (settings: Readonly<Record<string, string>>) => readConfig({ ...whole, ...settings }, hostJson).arm;
    expect(armOf({ FARSIDE_ARM__clientId: clientId })).toEqual({
      kind: "azure",
      identity: { kind: "default", clientId },
    });
    expect(armOf({ FARSIDE_LOCAL_ARM: "http://127.0.0.1:8085/" })).toEqual({
      kind: "local",
      url: "http://127.0.0.1:8085",
    });
    for (const elsewhere of [
      "https://management.azure.com",
      "http://127.0.0.1.example.com",
      "http://10.0.0.1:80",
      "8085",
    ]) {
      const problems = problemsOf(() => armOf({ FARSIDE_LOCAL_ARM: elsewhere }));
      expect(Object.keys(problems)).toEqual(["FARSIDE_LOCAL_ARM"]);
    }
  });

  test("name where VMs are looked for, and by which tag", () => {
    const discoveryOf = (settings: Readonly<Record<string, string>>) =>
      readConfig({ ...whole, ...settings }, hostJson).discovery;
    const subscription = "/subscriptions/00000000-0000-0000-0000-00000000000a";
    const scopes = `${subscription}/, ${subscription}/resourceGroups/prod,${subscription.toUpperCase()},`;
    expect(discoveryOf({ FARSIDE_DISCOVER: scopes, FARSIDE_DISCOVERY_TAG: "backup" })).toEqual({
      scopes: [subscription.toUpperCase(), `${subscription}/resourceGroups/prod`],
      tag: "backup",
    });
    const wrong = { FARSIDE_DISCOVER: `${subscription},prod`, FARSIDE_DISCOVERY_TAG: "a/b" };
    expect(problemsOf(() => discoveryOf(wrong))).toEqual({
      FARSIDE_DISCOVER: expect.stringContaining('"prod" is no place to look for VMs'),
      FARSIDE_DISCOVERY_TAG: expect.stringContaining('"a/b"'),
    });
  });

  test("tell all their problems at once, each with its setting", () => {
    const problems = problemsOf(() =>
      readConfig(
        {
          FARSIDE_STATE: "nonsense",
          FARSIDE_VAULT: connectionString("vaultacct"),
          FARSIDE_ACCOUNT_A: connectionString("same"),
          FARSIDE_ACCOUNT_B: "https://same.blob.core.windows.net/",
          FARSIDE_ACCOUNT_C: "https://other.blob.core.windows.net/?sig=abc",
          FARSIDE_PASSPHRASE: "one",
          FARSIDE_PASSPHRASE_FILE: "/two",
          FARSIDE_WINDOW_BYTES: "1 GiB",
        },
        hostJson,
      ),
    );
    expect(Object.keys(problems).sort()).toEqual([
      "AzureWebJobsStorage",
      "FARSIDE_ACCOUNT_B",
      "FARSIDE_ACCOUNT_C",
      "FARSIDE_PASSPHRASE_FILE",
      "FARSIDE_STATE",
      "FARSIDE_VAULT_CONTAINER",
      "FARSIDE_WINDOW_BYTES",
    ]);
    expect(problems["FARSIDE_WINDOW_BYTES"]).toContain('"1 GiB"');
    expect(problems["FARSIDE_ACCOUNT_B"]).toContain("FARSIDE_ACCOUNT_A");
  });

  test("never show a secret in a problem", () => {
    const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    const environment = {
      FARSIDE_STATE: `AccountKey=${secret}`,
      FARSIDE_VAULT: `https://a.blob.core.windows.net/?sig=${secret}`,
      FARSIDE_ACCOUNT_X: `https://a.blob.core.windows.net/?sig=${secret}`,
      FARSIDE_PASSPHRASE: secret,
      FARSIDE_PASSPHRASE_FILE: "/file",
    };
    const { message, details } = errorOf(() => readConfig(environment, hostJson));
    expect(message + JSON.stringify(details)).not.toContain(secret);
  });

  test.each([
    ["a step budget that the function's time limit does not allow", { FARSIDE_STEP_BUDGET_SECONDS: "599" }, hostJson],
    ["the default budget where host.json is missing", {}, JSON.stringify({ functionTimeout: "00:04:30" })],
    ["an override of the host's", { AzureFunctionsJobHost__functionTimeout: "00:02:00" }, hostJson],
  ])("refuse %s", (_what, extra, json) => {
    const problems = problemsOf(() => readConfig({ ...whole, ...extra }, json));
    expect(problems["FARSIDE_STEP_BUDGET_SECONDS"]).toContain("functionTimeout");
  });

  test("allow any budget where the functions have no time limit", () => {
    const json = JSON.stringify({ functionTimeout: "-1" });
    expect(readConfig({ ...whole, FARSIDE_STEP_BUDGET_SECONDS: "5000" }, json).limits.stepBudgetMs).toBe(5_000_000);
  });

  test.each(["http://127.0.0.1:10000/acct/vault", "https://acct.blob.core.windows.net/vault?sv=1&sig=x"])(
    "take the URL of a container as the vault: %s",
    (url) => {
      expect(readVaultConfig({ FARSIDE_VAULT: url }).vault).toMatchObject({ kind: "url", url });
    },
  );

  test.each([
    "http://127.0.0.1:10000/acct",
    "https://acct.blob.core.windows.net/",
    "https://acct.blob.core.windows.net/vault/folder",
    "https://acct.blob.core.windows.net/Vault",
    "ftp://acct/vault",
  ])("take no other URL as the vault: %s", (url) => {
    expect(Object.keys(problemsOf(() => readVaultConfig({ FARSIDE_VAULT: url })))).toEqual(["FARSIDE_VAULT"]);
  });

  test("take a vault by connection string and container", () => {
    expect(readVaultConfig({ FARSIDE_VAULT: local, FARSIDE_VAULT_CONTAINER: "vault" })).toEqual({
      vault: { kind: "connection-string", connectionString: local, container: "vault" },
      passphrase: { kind: "none" },
    });
    const bad = () => readVaultConfig({ FARSIDE_VAULT: local, FARSIDE_VAULT_CONTAINER: "Not_Allowed" });
    expect(problemsOf(bad)["FARSIDE_VAULT_CONTAINER"]).toContain("Not_Allowed");
  });

  test("know an emulator's account by the path of its endpoint", () => {
    expect(readAccountsConfig({ FARSIDE_ACCOUNT_SOURCE: local })).toMatchObject([
      { label: "source", account: "acct", blobEndpoint: "http://127.0.0.1:10000/acct" },
    ]);
    expect(readAccountsConfig({ FARSIDE_ACCOUNT_DR: "https://dr.blob.core.windows.net/" })).toEqual([
      { label: "dr", account: "dr", blobEndpoint: "https://dr.blob.core.windows.net", identity: { kind: "default" } },
    ]);
  });

  test("keep the blanks at the ends of a passphrase", () => {
    expect(readConfig({ ...whole, FARSIDE_PASSPHRASE: " a b " }, hostJson).passphrase).toEqual({
      kind: "text",
      text: " a b ",
    });
  });
});

test("The version is that of package.json", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  expect(farsideVersion).toBe(version);
});
