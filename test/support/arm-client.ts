/** The real SDK, with its requests to Azure sent to a local ARM. */
import { ComputeManagementClient } from "@azure/arm-compute";
import { createDefaultHttpClient, createPipelineRequest } from "@azure/core-rest-pipeline";

export const subscriptionId = "11111111-2222-3333-4444-555555555555";

export function computeClient(url: string): ComputeManagementClient {
  const inner = createDefaultHttpClient();
  const httpClient: typeof inner = {
    async sendRequest(request) {
      const local = { ...request, url: request.url.replace("https://management.azure.com", url) };
      const response = await inner.sendRequest(createPipelineRequest({ ...local, allowInsecureConnection: true }));
      // Policies look at the request of an answer: it must stay the one that they know.
      return { ...response, request };
    },
  };
  const credential = { getToken: async () => ({ token: "local", expiresOnTimestamp: Date.now() + 3_600_000 }) };
  return new ComputeManagementClient(credential, subscriptionId, { httpClient, retryOptions: { maxRetries: 0 } });
}
