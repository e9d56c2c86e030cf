/** The real SDK, with its requests to Azure sent to a local ARM. */
import { ComputeManagementClient } from "@azure/arm-compute";
import { localArm } from "../../shared/adapters/azure/managed/local-arm.ts";

export const subscriptionId = "11111111-2222-3333-4444-555555555555";

export function computeClient(url: string): ComputeManagementClient {
  const { credential, httpClient } = localArm(url);
  return new ComputeManagementClient(credential, subscriptionId, { httpClient, retryOptions: { maxRetries: 0 } });
}
