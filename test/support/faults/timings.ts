/** Short times for hosts in tests of faults: what comes back after minutes in Azure comes back after seconds. */
export const benchTimings = { queueVisibilityMs: 3000, workerRestartDelayMs: 50, stopGraceMs: 5000 };

/** Failed messages come back after a second, not after thirty, and an idle queue is looked at five times a second. */
export const shortHostJson = {
  AzureFunctionsJobHost__extensions__queues__visibilityTimeout: "00:00:01",
  AzureFunctionsJobHost__extensions__queues__maxPollingInterval: "00:00:00.200",
};
