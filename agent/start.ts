import { join } from 'node:path';
import * as z from 'zod';
import { RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { RUN_FILES } from '../schemas/run-files.ts';
import {
  AGENT_STOP_SHARE,
  RUNNER_CLAIM_RETRY_S,
  RUNNER_CONFIRM_RETRY_S,
  RUNNER_FIRST_WORD_RETRY_S,
  RUNNER_REPORT_RETRY_S,
  RUNNER_SECRET_RETRY_S,
  STOP_BUDGET_SHARE,
  STOP_TIMEOUT_S,
} from './limits.ts';
import { type Runner, run } from './runner.ts';
import { soleClaim } from './sole-claim.ts';
import { stopRequest } from './stop-request.ts';

/**
 * What every runner reads from its environment. `BATON_RETRY_S` bounds every wait for the control plane; `BATON_STOP_TIMEOUT_S` is
 * the time that its compute leaves between SIGTERM and SIGKILL; `BATON_HEARTBEAT_S` asks for heartbeats; `BATON_CLAIM` has a claim
 * count only for the process that makes it.
 */
export const commonEnvironment = {
  BATON_RETRY_S: z.coerce.number().positive().optional(),
  BATON_STOP_TIMEOUT_S: z.coerce.number().positive().default(STOP_TIMEOUT_S),
  BATON_HEARTBEAT_S: z.coerce.number().positive().optional(),
  BATON_CLAIM: z.literal('once').optional(),
} as const;

type CommonSettings = z.infer<z.ZodObject<typeof commonEnvironment>>;

/** What differs from place to place. */
export interface Place extends Pick<Runner, 'controlPlane' | 'payloadReference' | 'secrets' | 'nativeId'> {
  /** A directory that only this run uses. */
  readonly runDir: string;
}

/**
 * Runs the one attempt that the environment names, and ends the process with its exit code. An environment that does not fit ends
 * it at once, with the names of all variables that are missing or wrong.
 */
export async function start<Settings extends CommonSettings>(
  environment: z.ZodType<Settings>,
  placeOf: (settings: Settings) => Place,
): Promise<void> {
  // The log's reader may be gone; the run goes on without it.
  process.stdout.on('error', () => undefined);
  const parsed = environment.safeParse(process.env);
  const exitCode = parsed.success ? await runAt(placeOf, parsed.data) : misfit(parsed.error);
  process.stdout.write('', () => process.exit(exitCode));
}

function misfit({ issues }: z.ZodError): number {
  const names = issues.map((issue) => issue.path.join('.')).join(', ');
  process.stdout.write(`[baton] the runner was started without a valid ${names}\n`);
  return RUNNER_EXIT.badPayload;
}

async function runAt<Settings extends CommonSettings>(
  placeOf: (settings: Settings) => Place,
  settings: Settings,
): Promise<number> {
  let place: Place;
  try {
    place = placeOf(settings);
  } catch (error) {
    process.stdout.write(`[baton] the runner cannot work here: ${String(error)}\n`);
    return RUNNER_EXIT.internal;
  }
  const { runDir, ...told } = place;
  const stopTimeoutMs = settings.BATON_STOP_TIMEOUT_S * 1_000;
  const retryMs = (seconds: number): number => Math.min(seconds, settings.BATON_RETRY_S ?? seconds) * 1_000;
  const stop = stopRequest(stopTimeoutMs * STOP_BUDGET_SHARE);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop.request(signal));
  return run({
    ...told,
    controlPlane: settings.BATON_CLAIM === 'once' ? soleClaim(told.controlPlane) : told.controlPlane,
    workspace: join(runDir, 'workspace'),
    promptFile: join(runDir, 'prompt.txt'),
    contextFile: join(runDir, 'context.txt'),
    retryAfterFile: join(runDir, 'retry-after'),
    reportFile: join(runDir, RUN_FILES.report),
    environment: process.env,
    stop,
    agentStopGraceMs: stopTimeoutMs * AGENT_STOP_SHARE,
    retryMs: {
      claim: retryMs(RUNNER_CLAIM_RETRY_S),
      secrets: retryMs(RUNNER_SECRET_RETRY_S),
      firstWord: retryMs(RUNNER_FIRST_WORD_RETRY_S),
      confirm: retryMs(RUNNER_CONFIRM_RETRY_S),
      report: retryMs(RUNNER_REPORT_RETRY_S),
    },
    ...(settings.BATON_HEARTBEAT_S === undefined ? {} : { heartbeatMs: settings.BATON_HEARTBEAT_S * 1_000 }),
    write: (text) => process.stdout.write(text),
  });
}
