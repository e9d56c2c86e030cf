/**
 * What the host keeps in its own storage account: timer statuses, and the leases that let one instance only run a
 * timer. Container and names are the real host's, so that one can be looked at with the same tools.
 */
import { RestError, type BlobServiceClient, type ContainerClient } from "@azure/storage-blob";
import { hasStorageCode } from "./queue-sender.ts";
import { statusFromJson, statusToJson, type TimerStatus } from "./timer-status.ts";

const containerName = "azure-webjobs-hosts";

export class HostStorage {
  readonly #container: ContainerClient;
  readonly #hostId: string;

  constructor(service: BlobServiceClient, hostId: string) {
    this.#container = service.getContainerClient(containerName);
    this.#hostId = hostId;
  }

  async prepare(): Promise<void> {
    await this.#container.createIfNotExists();
  }

  async readTimerStatus(functionName: string): Promise<TimerStatus | undefined> {
    const blob = this.#container.getBlobClient(this.#statusName(functionName));
    let text: string;
    try {
      text = (await blob.downloadToBuffer()).toString("utf8");
    } catch (error) {
      if (error instanceof RestError && error.statusCode === 404) return undefined;
      throw error;
    }
    try {
      return statusFromJson(JSON.parse(text));
    } catch {
      return undefined;
    }
  }

  async writeTimerStatus(functionName: string, status: TimerStatus): Promise<void> {
    const text = JSON.stringify(statusToJson(status));
    await this.#container.getBlockBlobClient(this.#statusName(functionName)).upload(text, Buffer.byteLength(text));
  }

  /** Takes the lease by which one instance runs the timer; undefined where another one has it. */
  async acquireTimerLease(functionName: string, leaseMs: number): Promise<TimerLease | undefined> {
    const blob = this.#container.getBlockBlobClient(`locks/${this.#hostId}/Host.Functions.${functionName}.Listener`);
    try {
      await blob.upload("", 0, { conditions: { ifNoneMatch: "*" } });
    } catch (error) {
      // It exists, free or leased: the lease request tells.
      if (!hasStorageCode(error, "BlobAlreadyExists", "LeaseIdMissing")) throw error;
    }
    const lease = blob.getBlobLeaseClient();
    try {
      await lease.acquireLease(Math.ceil(leaseMs / 1000));
    } catch (error) {
      if (hasStorageCode(error, "LeaseAlreadyPresent")) return undefined;
      throw error;
    }
    return {
      renew: async () => void (await lease.renewLease()),
      release: async () => void (await lease.releaseLease()),
    };
  }

  #statusName(functionName: string): string {
    return `timers/${this.#hostId}/Host.Functions.${functionName}/status`;
  }
}

export interface TimerLease {
  renew(): Promise<void>;
  release(): Promise<void>;
}
