/**
 * The storage accounts whose page blobs the app may read and write: those that are configured, and, where the app works with an
 * identity, any account of Azure's public cloud: whether that identity may go there, the account's own roles say. No other host is
 * ever asked: a URL that somebody typed must not decide where credentials are sent.
 */
import type { BlobServiceClient, ContainerClient, PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { AzureIdentity } from "../../core/azure-identity.ts";
import { openBlobAccount, openByIdentity, publicUrl, type BlobAccount } from "./storage-clients.ts";

export interface BlobPlace {
  readonly account: string;
  readonly container: string;
  /** Decoded; may hold "/". */
  readonly blob: string;
}

interface Account {
  readonly name: string;
  /** The blob endpoint, without a SAS and without a slash at the end. */
  readonly url: string;
  readonly service: BlobServiceClient;
  /** The same without retries: for what must not happen twice. */
  readonly once: BlobServiceClient;
}

export class StorageAccounts {
  readonly #accounts: Account[];
  /** Opens any account with the app's identity; undefined where the app has none. */
  readonly #byIdentity: ((url: string) => Account) | undefined;

  private constructor(accounts: Account[], byIdentity: ((url: string) => Account) | undefined) {
    this.#accounts = accounts;
    this.#byIdentity = byIdentity;
    const names = this.#accounts.map((account) => account.name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) {
      throw new FarsideError("bad-configuration", `The storage account ${twice} is configured twice: name each once.`);
    }
  }

  /**
   * Each by its connection string, by a URL with a SAS, or by its blob endpoint and an identity. `others`: by which identity accounts are
   * reached that are not named. Touches no network.
   */
  static async open(places: readonly BlobAccount[], others?: AzureIdentity): Promise<StorageAccounts> {
    const accounts = await Promise.all(places.map(openAccount));
    if (others === undefined) return new StorageAccounts(accounts, undefined);
    const open = await openByIdentity(others);
    return new StorageAccounts(accounts, (url) => accountOf(url, open(url), open(url, 1)));
  }

  /** Where a blob's URL points to. Throws `bad-input` for other accounts, and for a URL with a SAS or without a blob. */
  place(url: string): BlobPlace {
    const { account, path } = this.#split(url);
    const [container, ...rest] = path;
    if (container === undefined || rest.length === 0 || path.includes("")) {
      throw new FarsideError(
        "bad-input",
        `${withoutQuery(url)} is not the URL of a blob: it needs a container and a name.`,
      );
    }
    return { account: account.name, container, blob: rest.join("/") };
  }

  /** The same for a container's URL, which it gives back without a slash at the end. */
  container(url: string): { readonly url: string; readonly account: string; readonly container: string } {
    const { account, path } = this.#split(url.replace(/\/+$/, ""));
    const [container] = path;
    if (container === undefined || path.length !== 1 || !/^[a-z0-9](?:-?[a-z0-9]){2,62}$/.test(container)) {
      throw new FarsideError(
        "bad-input",
        `${withoutQuery(url)} is not the URL of a container: it is ${account.url}/ and a name of 3 to 63 lower-case letters, digits and single hyphens.`,
      );
    }
    return { url: `${account.url}/${container}`, account: account.name, container };
  }

  urlOf({ account, container, blob }: BlobPlace): string {
    return `${this.#byName(account).url}/${container}/${blob.split("/").map(encodeURIComponent).join("/")}`;
  }

  pageBlob(place: BlobPlace): PageBlobClient {
    return this.#byName(place.account).service.getContainerClient(place.container).getPageBlobClient(place.blob);
  }

  /** Its requests are tried once. */
  pageBlobOnce(place: BlobPlace): PageBlobClient {
    return this.#byName(place.account).once.getContainerClient(place.container).getPageBlobClient(place.blob);
  }

  containerClient(account: string, container: string): ContainerClient {
    return this.#byName(account).service.getContainerClient(container);
  }

  #byName(name: string): Account {
    const account = this.#accounts.find((known) => known.name === name) ?? this.#other(`${name}${publicSuffix}`);
    if (account === undefined) throw this.#unknown(`the storage account ${name}`);
    return account;
  }

  #split(text: string): { readonly account: Account; readonly path: readonly string[] } {
    let url: URL;
    try {
      url = new URL(text);
    } catch (cause) {
      throw new FarsideError("bad-input", `${JSON.stringify(withoutQuery(text).slice(0, 80))} is not a URL.`, {
        cause,
      });
    }
    const bare = `${url.origin}${url.pathname}`;
    const account =
      this.#accounts.find((known) => bare === known.url || bare.startsWith(`${known.url}/`)) ??
      (url.protocol === "https:" && url.port === "" ? this.#other(url.hostname) : undefined);
    if (account === undefined) throw this.#unknown(`an account for ${bare}`);
    if (url.search !== "" || url.hash !== "") {
      throw new FarsideError(
        "bad-input",
        `Give ${bare} without what follows it (a SAS): the service does not keep secrets in its tables, and reaches the account with its own access. To write with a SAS, use the command line without the service.`,
      );
    }
    try {
      return {
        account,
        path: bare
          .slice(account.url.length + 1)
          .split("/")
          .map(decodeURIComponent),
      };
    } catch (cause) {
      throw new FarsideError("bad-input", `${bare} is not a URL of a blob: its escapes are not valid.`, { cause });
    }
  }

  /**
   * An account that no setting names, opened when it is first met; undefined for what is none, or without an identity. One whose name is
   * configured with another address (another cloud's, a private one) is known by that one only: a name must mean one account.
   */
  #other(hostname: string): Account | undefined {
    const name = hostname.endsWith(publicSuffix) ? hostname.slice(0, -publicSuffix.length) : "";
    if (!/^[a-z0-9]{3,24}$/.test(name) || this.#accounts.some((known) => known.name === name)) return undefined;
    const account = this.#byIdentity?.(`https://${hostname}`);
    if (account !== undefined) this.#accounts.push(account);
    return account;
  }

  #unknown(what: string): FarsideError {
    const known = this.#accounts.map((account) => account.url).join(", ");
    return new FarsideError(
      "bad-input",
      `There is no access configured to ${what}: use ${known === "" ? "a configured account (there is none)" : known}, or add the setting FARSIDE_ACCOUNT_<NAME> with its connection string or its blob endpoint.`,
    );
  }
}

/** Of Azure's public cloud. A name before it is an account, whoever owns it; the service there is Azure's. */
const publicSuffix = ".blob.core.windows.net";

async function openAccount(place: BlobAccount): Promise<Account> {
  const service = await openBlobAccount(place);
  return accountOf(service.url, service, await openBlobAccount(place, 1));
}

function accountOf(url: string, service: BlobServiceClient, once: BlobServiceClient): Account {
  return { name: service.accountName, url: publicUrl(url).replace(/\/+$/, ""), service, once };
}

/** A SAS is a query. */
const withoutQuery = (url: string): string => url.split(/[?#]/)[0] ?? "";
