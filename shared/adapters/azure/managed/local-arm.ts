/**
 * A connection to a local stand-in for ARM. The SDK gives its token to https alone, and so keeps the real address; what goes there is sent
 * to the stand-in instead, with a token that is none.
 */
import { createDefaultHttpClient, createPipelineRequest, type HttpClient } from "@azure/core-rest-pipeline";
import type { TokenCredential } from "@azure/identity";

const azure = "https://management.azure.com";
const hourMs = 3_600_000;

/** `url`: of the stand-in, without a slash at its end. `principal`: whom the token names there. Nothing is ever sent to Azure. */
export function localArm(
  url: string,
  principal = "local",
): { readonly credential: TokenCredential; readonly httpClient: HttpClient } {
  const inner = createDefaultHttpClient();
  return {
    credential: { getToken: async () => ({ token: principal, expiresOnTimestamp: Date.now() + hourMs }) },
    httpClient: {
      async sendRequest(request) {
        if (!request.url.startsWith(`${azure}/`)) throw new Error("A request for the local ARM goes somewhere else.");
        const sent = { ...request, url: `${url}${request.url.slice(azure.length)}`, allowInsecureConnection: true };
        const response = await inner.sendRequest(createPipelineRequest(sent));
        // Policies look at the request of an answer: it must stay the one that they know.
        return { ...response, request };
      },
    },
  };
}
