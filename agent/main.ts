import * as z from 'zod';
import { noSecrets } from './agent-secrets.ts';
import { httpControlPlane } from './http-control-plane.ts';
import { serveOrRun } from './session-server.ts';
import { commonEnvironment, start } from './start.ts';

/** The runner of the embedded world, whose supervisor sets these variables. */
const environment = z.object({
  ...commonEnvironment,
  BATON_PAYLOAD: z.string().min(1),
  BATON_PAYLOAD_SECRET: z.string().min(1).optional(),
  BATON_NATIVE_ID: z.string().min(1),
  BATON_WORLD_FILE: z.string().min(1),
  BATON_RUN_DIR: z.string().startsWith('/'),
});

await serveOrRun(() =>
  start(environment, (settings) => ({
    controlPlane: httpControlPlane(settings.BATON_WORLD_FILE, settings.BATON_PAYLOAD_SECRET),
    payloadReference: settings.BATON_PAYLOAD,
    // A machine's own environment has them.
    secrets: noSecrets,
    nativeId: async () => settings.BATON_NATIVE_ID,
    runDir: settings.BATON_RUN_DIR,
  })),
);
