/** Which identity each place gets by the settings, and what is wrong with settings; and that the SDK is asked for just these. */
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { identityCredential } from "../../../shared/adapters/azure/identity-credential.ts";
import { armOpener } from "../../../shared/compose/arm.ts";
import { createContext } from "../../../shared/compose/context.ts";
import { systemClock } from "../../../shared/compose/system.ts";
import { createVaultStore } from "../../../shared/compose/vault.ts";
import { readConfig } from "../../../shared/config/config.ts";
import type { AzureIdentity } from "../../../shared/core/azure-identity.ts";
import { FarsideError } from "../../../shared/core/errors.ts";

const asked: AzureIdentity[] = [];
vi.mock("../../../shared/adapters/azure/identity-credential.ts", async (actual) => {
  const real: { identityCredential: typeof identityCredential } = await actual();
  return {
    identityCredential: (identity: AzureIdentity) => {
      asked.push(identity);
      return real.identityCredential(identity);
    },
  };
});
afterEach(() => void asked.splice(0));

const key = Buffer.alloc(32, 7).toString("base64");
const byKey = (account: string): string =>
  `DefaultEndpointsProtocol=https;AccountName=${account};AccountKey=${key};EndpointSuffix=core.windows.net`;
const client = (n: number): string => `0a1b2c3d-0000-4000-8000-00000000000${n}`;

const keys = {
  AzureWebJobsStorage: byKey("host"),
  FARSIDE_STATE: byKey("state"),
  FARSIDE_VAULT: byKey("vaultacct"),
  FARSIDE_VAULT_CONTAINER: "vault",
};
const identities = {
  AzureWebJobsStorage__accountName: "host",
  FARSIDE_STATE__accountName: "state",
  FARSIDE_VAULT: "https://vaultacct.blob.core.windows.net/vault",
};

describe("The app's own identity", () => {
  test("is another one for each place, where the settings say so", async () => {
    const config = readConfig(
      {
        ...identities,
        FARSIDE_STATE__clientId: client(1),
        FARSIDE_VAULT__clientId: client(2),
        FARSIDE_VAULT__credential: "managedidentity",
        FARSIDE_ARM__clientId: client(3),
        FARSIDE_ACCOUNT_SOURCE: "https://source.blob.core.windows.net",
        FARSIDE_ACCOUNT_SOURCE__clientId: client(4),
        FARSIDE_ACCOUNTS__credential: "managedidentity",
      },
      undefined,
    );
    const context = await createContext(config);
    // The state's, the account's twice (with retries and without), and that of accounts without a name.
    const named = { kind: "default", clientId: client(4) };
    expect(asked.splice(0)).toEqual([{ kind: "default", clientId: client(1) }, named, named, { kind: "managed" }]);
    await createVaultStore(config.vault);
    expect(asked.splice(0)).toEqual([{ kind: "managed", clientId: client(2) }]);
    await armOpener(config.arm, systemClock())();
    expect(asked.splice(0)).toEqual([{ kind: "default", clientId: client(3) }]);
    expect(context.log).toBeDefined();
  });

  test("is DefaultAzureCredential's where no setting chooses one, and is not asked for where keys are given", async () => {
    const config = readConfig(identities, undefined);
    await createContext(config);
    await createVaultStore(config.vault);
    expect(asked.splice(0)).toEqual([{ kind: "default" }, { kind: "default" }, { kind: "default" }]);
    const byKeys = readConfig(keys, undefined);
    await createContext(byKeys);
    await createVaultStore(byKeys.vault);
    expect(asked).toEqual([]);
  });

  test.each([
    ["a name in place of a client id", { FARSIDE_VAULT__clientId: "farside-app" }, "FARSIDE_VAULT__clientId"],
    [
      "a resource id in place of a client id",
      { FARSIDE_ARM__clientId: "/subscriptions/x/userAssignedIdentities/y" },
      "FARSIDE_ARM__clientId",
    ],
    ["the host's, too", { AzureWebJobsStorage__clientId: "mine" }, "AzureWebJobsStorage__clientId"],
    ["another credential", { FARSIDE_STATE__credential: "secret" }, "FARSIDE_STATE__credential"],
    ["a setting that is not there", { FARSIDE_VAULT__clientID: client(1) }, "FARSIDE_VAULT__clientID"],
    [
      "a setting of the host's that the app does not know",
      { FARSIDE_STATE__managedIdentityResourceId: "/x" },
      "FARSIDE_STATE__managedIdentityResourceId",
    ],
    [
      "an identity of an account without its address",
      { FARSIDE_ACCOUNT_A__clientId: client(1) },
      "FARSIDE_ACCOUNT_A__clientId",
    ],
    [
      "an identity beside a key",
      { FARSIDE_ACCOUNT_B: byKey("b"), FARSIDE_ACCOUNT_B__clientId: client(1) },
      "FARSIDE_ACCOUNT_B__clientId",
    ],
    [
      "an identity beside a SAS",
      { FARSIDE_VAULT: `${identities.FARSIDE_VAULT}?sv=1&sig=x`, FARSIDE_VAULT__credential: "managedidentity" },
      "FARSIDE_VAULT__credential",
    ],
    [
      "an identity beside the state's key",
      { FARSIDE_STATE: byKey("s"), FARSIDE_STATE__clientId: client(1) },
      "FARSIDE_STATE__clientId",
    ],
  ])("does not start with %s", (_what, settings, named) => {
    let found: unknown;
    try {
      readConfig({ ...identities, ...settings }, undefined);
    } catch (error) {
      found = error;
    }
    if (!(found instanceof FarsideError)) throw new Error("It was taken.");
    expect(found.code).toBe("bad-configuration");
    const problems = found.details["problems"] as readonly { readonly setting: string }[];
    expect(problems.map(({ setting }) => setting)).toEqual([named]);
    expect(found.message).not.toContain(key);
  });

  test("of the host is half said without an address", () => {
    const { AzureWebJobsStorage__accountName: _, ...rest } = identities;
    const half = {
      ...rest,
      AzureWebJobsStorage__clientId: client(1),
      AzureWebJobsStorage__credential: "managedidentity",
    };
    expect(() => readConfig(half, undefined)).toThrow("AzureWebJobsStorage__accountName");
  });
});

/** App Service gives its apps their managed identities by an endpoint that two variables name: here it is a server of the test. */
describe("What the SDK asks the platform for", () => {
  let server: Server;
  const queries: URLSearchParams[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      queries.push(new URL(request.url ?? "/", "http://localhost").searchParams);
      const token = {
        access_token: "token",
        expires_on: String(Math.floor(Date.now() / 1000) + 3600),
        token_type: "Bearer",
      };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(token));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    vi.stubEnv("IDENTITY_ENDPOINT", `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`);
    vi.stubEnv("IDENTITY_HEADER", "secret-of-the-platform");
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    server.closeAllConnections();
    server.close();
  });

  test.each([
    [{ kind: "managed", clientId: client(1) }, client(1)],
    [{ kind: "managed" }, null],
    [{ kind: "default", clientId: client(2) }, client(2)],
  ] as const)("is the identity %o", async (identity, clientId) => {
    queries.length = 0;
    const credential = await identityCredential(identity);
    const token = await credential.getToken("https://storage.azure.com/.default");
    expect(token?.token).toBe("token");
    expect(queries.map((query) => query.get("client_id"))).toEqual([clientId]);
  });
});
