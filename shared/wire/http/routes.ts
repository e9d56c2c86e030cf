/**
 * The HTTP API as data: every route with the schemas that check its requests and describe its answers. The functions are
 * registered from this table and openapi.json is made from it, so that the two cannot differ.
 *
 * 1. `name` is the function's name and the operationId. It never changes: settings and dashboards refer to it.
 * 2. `path` is below the route prefix (`api`).
 */
import { z } from "zod";
import type { ErrorCode } from "../../core/errors.ts";
import { discoveryBodySchema, discoveryViewSchema } from "./discovery.ts";
import { pointIdSchema, policyNameSchema, runIdSchema, vmNameSchema } from "./names.ts";
import { noQuerySchema, pageQuerySchema, pageSchema, runsQuerySchema } from "./page.ts";
import { policyBodySchema, policyViewSchema } from "./policy.ts";
import { rebuildBodySchema, rebuildViewSchema } from "./rebuild.ts";
import { restorePointViewSchema } from "./restore-point.ts";
import { restoreBodySchema } from "./restore.ts";
import { runViewSchema } from "./run.ts";
import { healthSchema, scheduleTickSchema, statusSchema, vaultViewSchema } from "./status.ts";
import { vmBodySchema, vmViewSchema } from "./vm.ts";

export interface Answer {
  readonly status: 200 | 201 | 202 | 204;
  readonly text: string;
  readonly schema?: z.ZodType;
  /** The run's addresses: Location, Operation-Location and Retry-After. */
  readonly locatesRun?: true;
}

export interface Route<Params = unknown, Query = unknown, Body = unknown> {
  readonly name: string;
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  readonly access: "anonymous" | "key";
  readonly summary: string;
  readonly params: z.ZodType<Params>;
  readonly query: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** A missing body counts as `{}`. */
  readonly bodyOptional?: true;
  /** Takes an Idempotency-Key: the same key gives the same run. */
  readonly idempotent?: true;
  readonly answers: readonly Answer[];
  readonly problems: readonly ErrorCode[];
}

const none = z.strictObject({});
const policyParams = z.strictObject({ policy: policyNameSchema });
const vmParams = z.strictObject({ vm: vmNameSchema });
const runParams = z.strictObject({ run: runIdSchema });
const pointParams = z.strictObject({ vm: vmNameSchema, point: pointIdSchema });

/** Keeps each route's own types: what its handler gets is what its schemas give. */
function route<Params, Query, Body = undefined>(it: Route<Params, Query, Body>): Route<Params, Query, Body> {
  return it;
}

const read = { method: "GET", access: "key", params: none, query: noQuerySchema } as const;
const remove = { method: "DELETE", access: "key", query: noQuerySchema } as const;
const put = { method: "PUT", access: "key", query: noQuerySchema } as const;
const post = { method: "POST", access: "key", query: noQuerySchema, bodyOptional: true, idempotent: true } as const;

const accepted: Answer = { status: 202, text: "The run.", schema: runViewSchema, locatesRun: true };
const gone: Answer = { status: 204, text: "It is gone." };
const ok = (text: string, schema: z.ZodType): Answer => ({ status: 200, text, schema });
const created = (text: string, schema: z.ZodType): Answer => ({ status: 201, text, schema });

export const routes = {
  getHealth: route({
    ...read,
    name: "get-health",
    path: "health",
    access: "anonymous",
    summary: "Whether the app runs with settings it can work with. 503 where it cannot; says nothing secret.",
    answers: [ok("Healthy.", healthSchema)],
    problems: [],
  }),
  getOpenApi: route({
    ...read,
    name: "get-openapi",
    path: "openapi.json",
    summary: "This document.",
    answers: [ok("OpenAPI 3.1.", z.looseObject({ openapi: z.string() }))],
    problems: [],
  }),
  getStatus: route({
    ...read,
    name: "get-status",
    path: "status",
    summary: "Every protected VM: its newest restore point against its RPO, and what runs now.",
    answers: [ok("The fleet.", statusSchema)],
    problems: [],
  }),
  runSchedule: route({
    ...post,
    name: "run-schedule",
    path: "schedule/run",
    summary: "Does what the schedule's timer does. For a pinger from outside, should timers ever stand still.",
    params: none,
    body: none,
    answers: [ok("Done.", scheduleTickSchema)],
    problems: ["bad-input"],
  }),
  runDiscovery: route({
    ...post,
    name: "run-discovery",
    path: "discovery",
    summary:
      "Looks for VMs by their tag, as its timer does every 15 minutes: those that have it are protected by the policy that it names, and no longer when it is gone.",
    params: none,
    body: discoveryBodySchema,
    answers: [ok("What was found and done.", discoveryViewSchema)],
    problems: ["bad-input", "unavailable", "passphrase-missing", "passphrase-wrong"],
  }),
  listPolicies: route({
    ...read,
    name: "list-policies",
    path: "policies",
    summary: "All policies.",
    query: pageQuerySchema,
    answers: [ok("A page of policies.", pageSchema(policyViewSchema))],
    problems: ["bad-input"],
  }),
  getPolicy: route({
    ...read,
    name: "get-policy",
    path: "policies/{policy}",
    summary: "One policy.",
    params: policyParams,
    answers: [ok("The policy.", policyViewSchema)],
    problems: ["bad-input", "not-found"],
  }),
  setPolicy: route({
    ...put,
    name: "set-policy",
    path: "policies/{policy}",
    summary: "Makes a policy, or replaces it as a whole.",
    params: policyParams,
    body: policyBodySchema,
    answers: [ok("Replaced.", policyViewSchema), created("Made.", policyViewSchema)],
    problems: ["bad-input", "conflict"],
  }),
  removePolicy: route({
    ...remove,
    name: "remove-policy",
    path: "policies/{policy}",
    summary: "Removes a policy that no VM follows.",
    params: policyParams,
    answers: [gone],
    problems: ["bad-input", "not-found", "in-use", "conflict"],
  }),
  listVms: route({
    ...read,
    name: "list-vms",
    path: "vms",
    summary: "All protected VMs.",
    query: pageQuerySchema,
    answers: [ok("A page of VMs.", pageSchema(vmViewSchema))],
    problems: ["bad-input"],
  }),
  getVm: route({
    ...read,
    name: "get-vm",
    path: "vms/{vm}",
    summary: "One protected VM.",
    params: vmParams,
    answers: [ok("The VM.", vmViewSchema)],
    problems: ["bad-input", "not-found"],
  }),
  protectVm: route({
    ...put,
    name: "protect-vm",
    path: "vms/{vm}",
    summary: "Protects a VM, or changes how it is protected. Its restore points stay.",
    params: vmParams,
    body: vmBodySchema,
    answers: [ok("Changed.", vmViewSchema), created("Protected.", vmViewSchema)],
    problems: ["bad-input", "not-found", "already-exists", "conflict", "forbidden", "unavailable"],
  }),
  unprotectVm: route({
    ...remove,
    name: "unprotect-vm",
    path: "vms/{vm}",
    summary: "Stops protecting a VM. Its restore points stay.",
    params: vmParams,
    answers: [gone],
    problems: ["bad-input", "not-found", "run-active", "refused", "conflict", "throttled"],
  }),
  requestBackup: route({
    ...post,
    name: "request-backup",
    path: "vms/{vm}/backups",
    summary: "Backs a VM up now.",
    params: vmParams,
    body: none,
    answers: [accepted],
    problems: ["bad-input", "not-found", "run-active"],
  }),
  listRestorePoints: route({
    ...read,
    name: "list-restore-points",
    path: "vms/{vm}/restore-points",
    summary: "The restore points of a VM, newest first; also of one that is not protected any more.",
    params: vmParams,
    query: pageQuerySchema,
    answers: [ok("A page of restore points.", pageSchema(restorePointViewSchema))],
    problems: ["bad-input", "not-found"],
  }),
  getRestorePoint: route({
    ...read,
    name: "get-restore-point",
    path: "vms/{vm}/restore-points/{point}",
    summary: "One restore point.",
    params: pointParams,
    answers: [ok("The restore point.", restorePointViewSchema)],
    problems: ["bad-input", "not-found"],
  }),
  getConfiguration: route({
    ...read,
    name: "get-configuration",
    path: "vms/{vm}/restore-points/{point}/configuration",
    summary: "What was captured of the VM's configuration at a restore point, as it lies in the vault.",
    params: pointParams,
    answers: [ok("The document.", z.looseObject({}))],
    problems: ["bad-input", "not-found", "vault-corrupt"],
  }),
  requestRestore: route({
    ...post,
    name: "request-restore",
    path: "vms/{vm}/restores",
    summary:
      "Restores the disks of a restore point: as page blobs into a container, into the VM's own disks (a revert), as managed disks, as a new VM, or in exchange for the disks of the VM that stands.",
    params: vmParams,
    body: restoreBodySchema,
    answers: [accepted],
    problems: [
      "bad-input",
      "not-found",
      "target-exists",
      "in-use",
      "refused",
      "run-active",
      "already-exists",
      "not-supported",
      "forbidden",
      "vault-corrupt",
      "throttled",
      "unavailable",
    ],
  }),
  listRuns: route({
    ...read,
    name: "list-runs",
    path: "runs",
    summary: "Runs of every kind, newest first.",
    query: runsQuerySchema,
    answers: [ok("A page of runs.", pageSchema(runViewSchema))],
    problems: ["bad-input"],
  }),
  getRun: route({
    ...read,
    name: "get-run",
    path: "runs/{run}",
    summary: "One run with its events.",
    params: runParams,
    answers: [ok("The run.", runViewSchema)],
    problems: ["bad-input", "not-found"],
  }),
  cancelRun: route({
    ...post,
    name: "cancel-run",
    path: "runs/{run}/cancel",
    summary: "Asks a run to stop. One that has ended stays as it is.",
    params: runParams,
    body: none,
    answers: [accepted],
    problems: ["bad-input", "not-found", "conflict"],
  }),
  getVault: route({
    ...read,
    name: "get-vault",
    path: "vault",
    summary: "What the vault says of itself.",
    answers: [ok("The vault.", vaultViewSchema)],
    problems: ["not-found", "passphrase-missing", "passphrase-wrong", "vault-version-unknown", "vault-corrupt"],
  }),
  rebuildCatalog: route({
    ...post,
    name: "rebuild-catalog",
    path: "vault/rebuild",
    summary:
      "Makes rows anew from the vault after the tables were lost. Overwrites nothing; bounded: `next` says that there is more.",
    params: none,
    body: rebuildBodySchema,
    answers: [ok("What was made.", rebuildViewSchema)],
    problems: ["bad-input", "passphrase-missing", "passphrase-wrong", "vault-corrupt", "throttled", "unavailable"],
  }),
};
