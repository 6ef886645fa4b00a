import { join } from 'node:path';
import * as z from 'zod';
import { RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { RUN_FILES } from '../schemas/run-files.ts';
import { httpControlPlane } from './http-control-plane.ts';
import {
  AGENT_STOP_SHARE,
  RUNNER_CLAIM_RETRY_S,
  RUNNER_CONFIRM_RETRY_S,
  RUNNER_REPORT_RETRY_S,
  STOP_BUDGET_SHARE,
  STOP_TIMEOUT_S,
} from './limits.ts';
import { run } from './runner.ts';
import { stopRequest } from './stop-request.ts';

/**
 * What the runner reads from its environment. `BATON_RETRY_S` bounds every wait for the control plane; `BATON_STOP_TIMEOUT_S` is
 * the time that its compute leaves between SIGTERM and SIGKILL; `BATON_HEARTBEAT_S` asks for heartbeats.
 */
const environment = z.object({
  BATON_PAYLOAD: z.string().min(1),
  BATON_PAYLOAD_SECRET: z.string().min(1).optional(),
  BATON_NATIVE_ID: z.string().min(1),
  BATON_WORLD_FILE: z.string().min(1),
  BATON_RUN_DIR: z.string().startsWith('/'),
  BATON_RETRY_S: z.coerce.number().positive().optional(),
  BATON_STOP_TIMEOUT_S: z.coerce.number().positive().default(STOP_TIMEOUT_S),
  BATON_HEARTBEAT_S: z.coerce.number().positive().optional(),
});

async function main(): Promise<number> {
  const parsed = environment.safeParse(process.env);
  if (!parsed.success) {
    const names = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ');
    process.stdout.write(`[baton] the runner was started without a valid ${names}\n`);
    return RUNNER_EXIT.badPayload;
  }
  const settings = parsed.data;
  const stopTimeoutMs = settings.BATON_STOP_TIMEOUT_S * 1_000;
  const retryMs = (seconds: number): number => Math.min(seconds, settings.BATON_RETRY_S ?? seconds) * 1_000;
  const stop = stopRequest(stopTimeoutMs * STOP_BUDGET_SHARE);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop.request(signal));
  return run({
    controlPlane: httpControlPlane(settings.BATON_WORLD_FILE, settings.BATON_PAYLOAD_SECRET),
    payloadReference: settings.BATON_PAYLOAD,
    nativeId: settings.BATON_NATIVE_ID,
    workspace: join(settings.BATON_RUN_DIR, 'workspace'),
    promptFile: join(settings.BATON_RUN_DIR, 'prompt.txt'),
    reportFile: join(settings.BATON_RUN_DIR, RUN_FILES.report),
    environment: process.env,
    stop,
    agentStopGraceMs: stopTimeoutMs * AGENT_STOP_SHARE,
    retryMs: {
      claim: retryMs(RUNNER_CLAIM_RETRY_S),
      confirm: retryMs(RUNNER_CONFIRM_RETRY_S),
      report: retryMs(RUNNER_REPORT_RETRY_S),
    },
    ...(settings.BATON_HEARTBEAT_S === undefined ? {} : { heartbeatMs: settings.BATON_HEARTBEAT_S * 1_000 }),
    write: (text) => process.stdout.write(text),
  });
}

// The log's reader may be gone; the run goes on without it.
process.stdout.on('error', () => undefined);
const exitCode = await main();
process.stdout.write('', () => process.exit(exitCode));
