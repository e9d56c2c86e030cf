/**
 * The storage accounts whose page blobs the app may read and write. A URL of any other account is refused: its key or role
 * is not known here, and a URL that somebody typed must not decide where credentials are sent.
 */
import type { BlobServiceClient, ContainerClient, PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import { openBlobAccount, publicUrl } from "./storage-clients.ts";

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
  readonly #accounts: readonly Account[];

  private constructor(accounts: readonly Account[]) {
    this.#accounts = accounts;
    const names = this.#accounts.map((account) => account.name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) {
      throw new FarsideError("bad-configuration", `The storage account ${twice} is configured twice: name each once.`);
    }
  }

  /** Each by its connection string, or by its blob endpoint's URL: then by the app's identity. Touches no network. */
  static async open(connectionStringsOrUrls: readonly string[]): Promise<StorageAccounts> {
    return new StorageAccounts(await Promise.all(connectionStringsOrUrls.map(openAccount)));
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
    const account = this.#accounts.find((known) => known.name === name);
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
    const account = this.#accounts.find((known) => bare === known.url || bare.startsWith(`${known.url}/`));
    if (account === undefined) throw this.#unknown(`an account for ${bare}`);
    if (url.search !== "" || url.hash !== "") {
      throw new FarsideError("bad-input", `Give ${bare} without what follows it: the account's access is configured.`);
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

  #unknown(what: string): FarsideError {
    const known = this.#accounts.map((account) => account.url).join(", ");
    return new FarsideError(
      "bad-input",
      `There is no access configured to ${what}: use ${known === "" ? "a configured account (there is none)" : known}, or add the account to the app's settings.`,
    );
  }
}

async function openAccount(connectionStringOrUrl: string): Promise<Account> {
  const service = await openBlobAccount(connectionStringOrUrl);
  const once = await openBlobAccount(connectionStringOrUrl, 1);
  return { name: service.accountName, url: publicUrl(service.url).replace(/\/+$/, ""), service, once };
}

/** A SAS is a query. */
const withoutQuery = (url: string): string => url.split(/[?#]/)[0] ?? "";
