import { MemoryVaultStore } from "../../shared/adapters/memory/memory-vault-store.ts";
import { describeVaultStore } from "./vault-store.conformance.ts";

describeVaultStore("memory", async () => {
  let nowMs = Date.parse("2026-11-21T08:00:00.123Z");
  const store = new MemoryVaultStore(() => nowMs);
  await store.createContainer(new AbortController().signal);
  return {
    store,
    withoutContainer: new MemoryVaultStore(() => nowMs, "memory://other"),
    waitTwoSeconds: async () => {
      nowMs += 2000;
    },
  };
});
