/** Reads the parts of a storage connection string that Farside needs to know. Never repeats one in a message: it holds a key. */

export interface ConnectionStringParts {
  readonly accountName: string;
  /** Without a slash at its end. */
  readonly blobEndpoint: string;
}

/** Undefined where the text is no connection string of a storage account. */
export function parseConnectionString(text: string): ConnectionStringParts | undefined {
  const fields = new Map<string, string>();
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    if (equals > 0) fields.set(part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim());
  }
  if (fields.get("usedevelopmentstorage") === "true") {
    return { accountName: "devstoreaccount1", blobEndpoint: "http://127.0.0.1:10000/devstoreaccount1" };
  }
  const explicit = fields.get("blobendpoint")?.replace(/\/+$/, "");
  const accountName = fields.get("accountname") ?? (explicit === undefined ? undefined : accountOfUrl(explicit));
  const hasSecret = fields.has("accountkey") || fields.has("sharedaccesssignature");
  if (accountName === undefined || accountName === "" || !hasSecret) return undefined;
  if (explicit !== undefined) return URL.canParse(explicit) ? { accountName, blobEndpoint: explicit } : undefined;
  const protocol = fields.get("defaultendpointsprotocol") ?? "https";
  const suffix = fields.get("endpointsuffix") ?? "core.windows.net";
  return { accountName, blobEndpoint: `${protocol}://${accountName}.blob.${suffix}` };
}

/** Whether the text was meant to be a connection string and not a URL. */
export function looksLikeConnectionString(text: string): boolean {
  return !/^https?:\/\//i.test(text);
}

/**
 * The account of a blob endpoint or of anything below it: the first label of the host, or, where the host is an address or
 * a plain name (an emulator), the first part of the path.
 */
export function accountOfUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const pathStyle = /^[\d.]+$|^\[|^localhost$/.test(url.hostname) || !url.hostname.includes(".");
  const name = pathStyle ? url.pathname.split("/")[1] : url.hostname.split(".")[0];
  return name === "" ? undefined : name;
}
