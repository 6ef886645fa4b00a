import { SSMClient } from '@aws-sdk/client-ssm';
import { awsFleetWaits } from '../../lifecycle/worker.ts';
import { ssmCommands } from '../../runtime/aws/ssm-commands.ts';
import { ssmService } from '../../runtime/endpoint/aws/ssm.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { BatonError } from '../../runtime/errors.ts';
import { fleetBackend } from '../../runtime/fleet-backend.ts';
import type { ComputeBackend } from '../../runtime/ports.ts';
import { workersOver } from '../../runtime/workers.ts';
import type { Ec2Handle } from '../../schemas/ssm-command.ts';
import { machinesTwin } from '../machines-twin.ts';
import { served } from '../runtime/aws/served.ts';
import { fleetWorld, parametersOf } from '../runtime/engine/local-fleet-fixture.ts';
import { computeBackendContract } from './compute-backend.ts';

const FLEET = 'builders';
/** As many as the suite has runs: a worker comes back only when somebody sees that its run has ended. */
const WORKERS = 8;
/** Between two tries of a start, in milliseconds, as a function would be called again. */
const AGAIN_MS = 100;

const unknownHandle: Ec2Handle = {
  backend: 'ec2',
  fleet: FLEET,
  instanceId: 'i-0fffffffffffffff0',
  region: 'local',
  taskId: `t${'0'.repeat(24)}`,
  attempt: 1,
};

// Real SDK client, wire protocol, host script and processes; only AWS's own ends of the wire are played.
computeBackendContract('EC2 fleet, as the client of Systems Manager sees it', async () => {
  const scripts = new Map<string, string>();
  const world = await fleetWorld({
    capacity: WORKERS,
    containerOf: ({ commandId, parameters }) => ({
      runDirName: commandId,
      environment: { SCRIPT: scripts.get(parameters['taskId'] ?? '') ?? 'exit 9' },
    }),
  });
  const service = await served([ssmService(world.fleet)]);
  const [client, sender] = [new SSMClient(service.client), new SSMClient(service.client)];
  const clock = { now: () => new Date().toISOString() };
  const waits = { ...awsFleetWaits, DISPATCH_DOUBT_S: 2 };
  const workers = workersOver({ store: memoryStore({ recordLog: false }), clock, waits });
  for (const worker of await world.ready(WORKERS)) await workers.register({ worker, fleet: FLEET });
  const commands = ssmCommands({ client, sender, document: 'baton-run' });
  const { machines } = machinesTwin();
  const backend = fleetBackend({ workers, commands, machines, clock, waits, region: 'local' });
  const claims = claimsOf(async (owner) => {
    const worker = await workers.claim(FLEET, owner);
    if (worker === undefined) throw new Error('no worker is idle');
    return backend.handleOf({ worker, fleet: FLEET, owner });
  });

  const compute: ComputeBackend = {
    async start(run) {
      // As the task stores it before anything is sent.
      const worker = await claims.of(run);
      for (;;) {
        try {
          const started = await backend.start({ ...run, worker, executionSeconds: 600 });
          if (started.outcome === 'refused') claims.forget(run.startedBy);
          return started;
        } catch (error) {
          if (!(error instanceof BatonError) || error.retry !== 'soon') throw error;
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        }
      }
    },
    stop: backend.stop,
    async ask({ startedBy, handle }) {
      const known = handle ?? (await claims.known(startedBy));
      return backend.ask({ startedBy, ...(known ? { handle: known } : {}) });
    },
  };

  return {
    compute,
    aRun: (behaviour) => {
      const { taskId = '', payload = '' } = parametersOf();
      scripts.set(taskId, behaviour === 'goes on' ? 'sleep 300' : `exit ${behaviour.exitCode}`);
      return {
        taskId,
        attempt: 1,
        startedBy: `baton/test/${taskId}/1`,
        clientToken: `${taskId}-1`,
        environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: '1', BATON_PAYLOAD: payload },
        command: [],
      };
    },
    unknownHandle,
    close: async () => {
      for (const one of [client, sender]) one.destroy();
      await service.close();
      await world.close();
    },
  };
});

/** The handle of each attempt, claimed once. */
function claimsOf(claim: (owner: { taskId: string; attempt: number }) => Promise<Ec2Handle>) {
  const handles = new Map<string, Promise<Ec2Handle>>();
  return {
    of({ startedBy, taskId, attempt }: { startedBy: string; taskId: string; attempt: number }): Promise<Ec2Handle> {
      const known = handles.get(startedBy) ?? claim({ taskId, attempt });
      handles.set(startedBy, known);
      return known;
    },
    known: (startedBy: string) => handles.get(startedBy),
    forget: (startedBy: string) => void handles.delete(startedBy),
  };
}
