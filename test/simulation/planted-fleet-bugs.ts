import type { CommandService, Invocation } from '../../runtime/command-service.ts';
import type { FleetBackendOptions } from '../../runtime/fleet-backend.ts';
import type { FleetBackend, Instances, Machines, StoredRecord, WorkerAnswer } from '../../runtime/ports.ts';
import type { Plant } from '../../runtime/simulated-world.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { HOST_EXIT } from '../../schemas/ssm-command.ts';
import type { Worker } from '../../schemas/worker.ts';
import type { PlantedBug } from './planted-bug.ts';

type WiredPorts = Parameters<NonNullable<Plant['ports']>>[0];
type Workers = WiredPorts['workers'];

/** Changes the workers as one caller sees them, or all. */
const working = (change: (real: Workers, caller: string) => Partial<Workers>): Plant => ({
  ports: (ports, caller) => ({ ...ports, workers: { ...ports.workers, ...change(ports.workers, caller) } }),
});

/** Changes what is asked of Systems Manager, and what is answered. */
const commanding = (change: (real: CommandService) => Partial<CommandService>): Plant => ({
  fleet: (under) => ({ ...under, commands: { ...under.commands, ...change(under.commands) } }),
});

/** Changes how every answer about a command reads. */
const reading = (change: (said: Invocation) => Invocation): Plant =>
  commanding((real) => ({
    async get(commandId, instanceId) {
      const said = await real.get(commandId, instanceId);
      return said && change(said);
    },
  }));

/** Changes what is asked of machines, by whoever asks. */
const machining = (change: (real: Machines) => Partial<Machines & Instances>): Plant => ({
  fleet: (under) => ({
    ...under,
    machines: { ...under.machines, ...change({ replace, isThere: async () => true, ...under.machines }) },
  }),
  reactions: (all) =>
    all.map((one) => ({
      rule: one.rule,
      run: (event, ports, ...rest) => {
        const machines = ports['machines'] as Machines | undefined;
        return one.run(event, machines ? { ...ports, machines: { ...machines, ...change(machines) } } : ports, ...rest);
      },
    })),
});
const replace = async (): Promise<void> => undefined;

/** What one rule reads of a worker. */
const seeing = (caller: string, change: (worker: Worker) => Worker): Plant => ({
  wiring: (wiring, who) =>
    who !== caller
      ? wiring
      : {
          ...wiring,
          store: {
            ...wiring.store,
            async get(key): Promise<StoredRecord | undefined> {
              const found = await wiring.store.get(key);
              return found && key.startsWith('WORKER#') ? { ...found, value: change(found.value as Worker) } : found;
            },
          },
        },
});

/** One rule is deaf to some events. */
const deaf = (rule: string, to: (event: Envelope) => boolean): Plant => ({
  reactions: (all) =>
    all.map((one) =>
      one.rule.name === rule
        ? { rule: one.rule, run: async (event, ...rest) => (to(event) ? [] : one.run(event, ...rest)) }
        : one,
    ),
});

/** Whoever dies after a worker got free, and before its group was told, is not made up for. */
function toldOnce(under: FleetBackendOptions): FleetBackendOptions {
  const { workers, machines } = under;
  const freed = new Set<string>();
  const noting =
    <Given extends readonly unknown[], Said extends WorkerAnswer<string>>(
      call: (worker: string, ...given: Given) => Promise<Said>,
    ) =>
    async (worker: string, ...given: Given): Promise<Said> => {
      const said = await call(worker, ...given);
      if (said.answer === 'freed' || said.answer === 'unsent') freed.add(worker);
      return said;
    };
  return {
    ...under,
    workers: {
      ...workers,
      free: noting(workers.free),
      giveBack: noting(workers.giveBack),
      returning: noting(workers.returning),
    },
    machines: {
      ...machines,
      protect: async (machine, on) => (on || freed.delete(machine.worker) ? machines.protect(machine, on) : true),
    },
  };
}

const idle = ({ worker, fleet, since }: Worker): Worker => ({ worker, fleet, since, state: 'idle' });

/** Statuses with which Systems Manager gives up on a command. */
const GIVEN_UP = /cancelled|time|undeliverable|terminated/i;

const bugs: readonly PlantedBug[] = [
  { name: 'a host keeps what a run left', within: 50, plant: { hosts: { wipes: false } } },
  {
    name: 'a host runs an attempt again when its command comes again',
    within: 50,
    faults: 'command-again,late-handle',
    plant: { hosts: { remembers: false } },
  },
  {
    name: 'a host does not wait for the run that it has',
    within: 50,
    faults: 'command-again,slow-agent',
    plant: { hosts: { locks: false } },
  },
  {
    name: 'a command that Systems Manager has given up counts as the end of its run',
    within: 50,
    faults: 'execution-time-out,lost-command,cancel',
    plant: reading((said) =>
      GIVEN_UP.test(said.statusDetails ?? said.status)
        ? { commandId: said.commandId, status: 'Success', exitCode: 0 }
        : said,
    ),
  },
  {
    name: 'a host that cannot prove an end is believed to have ended it',
    within: 50,
    faults: 'unclean-host,cancel,slow-agent',
    plant: reading((said) =>
      said.exitCode === HOST_EXIT.unproven ? { commandId: said.commandId, status: 'Success', exitCode: 0 } : said,
    ),
  },
  {
    name: 'a worker is given back when its run is asked to stop',
    within: 50,
    plant: working((real) => ({
      async returning(worker, owner) {
        const done = await real.returning(worker, owner);
        await real.free(worker, owner);
        return done;
      },
    })),
  },
  {
    name: 'nobody is told of a worker that is out',
    within: 50,
    faults: 'unclean-host,boot-fails',
    plant: working(() => ({ told: async () => ({ kind: 'said', events: [] }) })),
  },
  {
    name: 'a machine that is gone keeps its worker',
    within: 50,
    faults: 'host-death',
    plant: working((real) => ({ goes: async (worker) => ({ answer: 'already', worker: await real.get(worker) }) })),
  },
  { name: 'a worker that works is claimed', within: 50, plant: seeing('start-run-on-ec2', idle) },
  {
    name: 'the worker of a start that was refused is not given back',
    within: 50,
    faults: 'failing-start,no-capacity',
    plant: working((real, caller) =>
      caller === 'start-run-on-ec2' || caller === 'return-worker'
        ? { free: async (worker) => ({ answer: 'already', worker: await real.get(worker) }) }
        : {},
    ),
  },
  {
    name: 'the worker of a run that is given up stays as it is',
    within: 100,
    faults: 'lost-command,ignores-stop,late-command,cancel',
    plant: deaf('return-worker', (event) => event['detail-type'] === 'RunOrphaned'),
  },
  {
    name: 'the warning before a machine goes is taken for its end',
    within: 50,
    faults: 'spot',
    plant: {
      reactions: (all) =>
        all.map((one) =>
          one.rule.name === 'heed-spot-warning'
            ? {
                rule: one.rule,
                run: (event, ports, ...rest) => {
                  const ec2 = ports['ec2'] as FleetBackend;
                  const observeNotice: FleetBackend['observeNotice'] = (worker, reason) =>
                    ec2.observeLoss(worker, reason);
                  return one.run(event, { ...ports, ec2: { ...ec2, observeNotice } }, ...rest);
                },
              }
            : one,
        ),
    },
  },
  {
    name: 'the launch of a machine that is ready is not confirmed',
    within: 20,
    plant: machining((real) => ({
      proceed: async (machine, to) => (to === 'launch' ? undefined : real.proceed(machine, to)),
    })),
  },
  {
    name: 'a machine that works is not protected',
    within: 100,
    faults: 'scale-in,slow-agent',
    plant: machining(() => ({ protect: async () => true })),
  },
  {
    name: 'a machine that is free stays protected',
    within: 5,
    faults: 'crash,duplicate',
    plant: machining((real) => ({ protect: async (machine, on) => (on ? real.protect(machine, on) : true) })),
  },
  {
    name: 'whoever frees a worker alone tells its group',
    within: 600,
    faults: 'crash,duplicate,scale-in',
    plant: { fleet: toldOnce },
  },
  {
    name: 'a worker is given back by whoever says so',
    within: 200,
    plant: working((real) => ({
      async free(worker, owner, exitCode) {
        const known = await real.get(worker);
        return real.free(worker, known && 'owner' in known && known.owner ? known.owner : owner, exitCode);
      },
    })),
  },
  {
    name: 'a worker that EC2 still has counts as gone',
    within: 100,
    plant: machining(() => ({ isGone: async () => true })),
  },
  {
    name: 'an answer that never came counts as a refusal',
    within: 50,
    faults: 'late-handle',
    plant: commanding((real) => ({
      send: (command) =>
        real.send(command).catch((error: unknown) => {
          throw Object.assign(error as object, { unheard: false, fault: 'throttled' });
        }),
    })),
  },
];

/** Mistakes that one could make where runs share machines that live on, in worlds where most tasks want one. */
export const fleetBugs: readonly PlantedBug[] = bugs.map((bug) => ({
  ...bug,
  plant: { settings: (usual) => ({ ...usual, computes: ['ec2', 'ecs', 'agentcore'] }), ...bug.plant },
}));
