import * as z from 'zod';
import { eventOf } from '../../events/index.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { runPayload } from '../../schemas/run-payload.ts';
import { runRequests } from '../../schemas/world-api.ts';
import type { Engine } from '../engine/engine.ts';
import { BatonError } from '../errors.ts';
import type { RunSignal } from '../ports.ts';
import { inputOf } from './input.ts';
import type { Answer, Call, Route } from './loopback-server.ts';
import { PAYLOAD_SECRET_NAME, type PayloadSecrets } from './payload-secret.ts';

const runParams = z.object({
  taskId: z.string(),
  attempt: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'a number from 1')
    .transform(Number),
});

/** What the runner of an attempt asks: its payload with the secret of that, everything else with the run token in it. Every answer is given when what it says is on disk. */
export function runRoutes(
  { bus, ports: { runs, payloads }, store }: Engine,
  secrets: PayloadSecrets,
): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/payloads/:ref',
      async handle({ params: { ref = '' }, bearer }) {
        if (!secrets.isOf(ref, bearer)) {
          throw new BatonError('token_refused', 'This is not the secret of the payload.', {
            remedy: `Send what the run was given as ${PAYLOAD_SECRET_NAME}.`,
          });
        }
        const text = await payloads.get(ref);
        const payload = text === undefined ? undefined : runPayload.safeParse(jsonIn(text)).data;
        if (!payload) throw new BatonError('unknown_reference', 'There is no payload under this reference.');
        return { status: 200, json: payload };
      },
    },
    post('claim', runRequests.claim, (signal, { claimId }) => runs.claim(signal, claimId)),
    post('confirm', runRequests.confirm, (signal) => runs.confirm(signal)),
    post('heartbeat', runRequests.heartbeat, (signal) => runs.heartbeat(signal)),
    post('first-word', runRequests['first-word'], (signal) => runs.firstWord(signal)),
    post('report', runRequests.report, (signal, { report }) => runs.report(signal, report)),
    post('saved-work', runRequests['saved-work'], (signal, { savedWork }) => runs.saveWork(signal, savedWork)),
    post(
      'events',
      runRequests.events,
      async (signal, { seq, type, data }) => {
        await bus.publish([signalEvent(signal, seq, type, data)]);
        return 'taken';
      },
      202,
    ),
  ];

  /** `act` answers what became of it; `fenced` is a refusal. */
  function post<Body extends { nativeId: string }>(
    verb: string,
    schema: z.ZodType<Body>,
    act: (signal: RunSignal, body: Body) => Promise<string>,
    status = 200,
  ): Route {
    return {
      method: 'POST',
      path: `/runs/:taskId/:attempt/${verb}`,
      async handle(call): Promise<Answer> {
        const run = await authorised(call);
        const body = inputOf(schema, await call.body(), verb);
        const outcome = await act({ ...run, nativeId: body.nativeId }, body);
        if (outcome === 'fenced') {
          throw new BatonError(
            'run_fenced',
            `Attempt ${run.attempt} of task ${run.taskId} is held by another run, or over.`,
          );
        }
        await store.durable();
        return { status, json: { outcome } };
      },
    };
  }

  async function authorised({ params, bearer }: Call): Promise<Pick<RunSignal, 'taskId' | 'attempt'>> {
    const run = inputOf(runParams, params, 'the path');
    if (bearer !== '' && (await runs.isToken(run.taskId, run.attempt, bearer))) return run;
    throw new BatonError('token_refused', `This is not the run token of attempt ${run.attempt} of task ${run.taskId}.`);
  }
}

/** What a runner says, as the event that it would put on the bus of AWS. Its id follows from its number, so a repetition is known. */
function signalEvent(run: RunSignal, seq: number, type: string, told: object): Envelope {
  const definition = eventOf(type);
  const schema: z.ZodType | undefined = definition?.schema;
  const data = schema && inputOf(schema, { ...told, ...run, seq }, type);
  const id = `${run.nativeId}#${run.attempt}#${seq}`;
  const at = new Date().toISOString();
  const metadata = {
    id,
    taskId: run.taskId,
    attempt: run.attempt,
    correlationId: run.taskId,
    causationId: id,
    occurredAt: at,
    schemaVersion: definition?.version ?? 1,
  };
  return {
    version: '0',
    id,
    'detail-type': type,
    source: 'baton.agent',
    account: '000000000000',
    time: at,
    region: 'local',
    resources: [],
    detail: { metadata, data },
  };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
