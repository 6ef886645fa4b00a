import * as z from 'zod';

export const runSpec = z.object({
  schemaVersion: z.literal(1),
  taskArn: z.string(),
  command: z.array(z.string()).min(1),
  /** Added to the environment of the supervisor. `BATON_RUN_DIR` in it marks every process of the run. */
  environment: z.record(z.string(), z.string()),
  cwd: z.string(),
  /** From SIGTERM to SIGKILL, in seconds. */
  stopTimeoutSeconds: z.number().min(0),
  /** Bytes of `agent.log` before output is dropped (its last bytes are added at the end). */
  logMaxBytes: z.int().min(0),
});
export type RunSpec = z.infer<typeof runSpec>;

/** A process for certain: pids are used again, so the pid counts only together with its start (boot and clock ticks on Linux). */
export const processIdentity = z.object({ pid: z.int().min(1), start: z.string() });
export type ProcessIdentity = z.infer<typeof processIdentity>;

/** Who may start the runner: the supervisor that made the marker, or nobody any more (`abandoned` says why). */
export const runMarker = z.union([
  z.object({ owner: processIdentity, abandoned: z.undefined().optional() }),
  z.object({ abandoned: z.string(), owner: z.undefined().optional() }),
]);
export type RunMarker = z.infer<typeof runMarker>;

/** Written when the runner has started. `child` is the leader of the run's own process group. */
export const supervisorRecord = z.object({
  pid: z.int(),
  startedAt: z.string(),
  childPid: z.int(),
  child: processIdentity,
});
export type SupervisorRecord = z.infer<typeof supervisorRecord>;

/** How the run ended. With `error` the runner never started; with `survivors` it has not ended yet, and the record is written again. */
export const exitRecord = z.object({
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  startedAt: z.string().nullable(),
  endedAt: z.string(),
  error: z.string().optional(),
  /** Processes that could not be killed yet; left out when nothing is left. */
  survivors: z.int().optional(),
});
export type ExitRecord = z.infer<typeof exitRecord>;
