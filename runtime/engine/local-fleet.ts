import { randomBytes, randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { CommandDocument } from '../../schemas/run-document.ts';
import { NO_RESPONSE } from '../../schemas/ssm-command.ts';
import { hashOf } from './local-agentcore-session.ts';
import { newCommand, whyInvalid } from './local-fleet-document.ts';
import { invocationEvent, launchHookEvent, spotEvent, stateEvent, terminateHookEvent } from './local-fleet-events.ts';
import {
  type CommandRecord,
  type CommandRequest,
  FleetFault,
  fleetLimits,
  type InstanceEnd,
  type InstanceRecord,
  type InvocationStatus,
  isOver,
  type LocalFleet,
  type LocalFleetOptions,
  type Loss,
  type StatusDetails,
} from './local-fleet-records.ts';
import { fleetStore } from './local-fleet-store.ts';
import { delivery } from './local-fleet-weather.ts';
import { type LocalWorker, localWorker, unfit } from './local-fleet-worker.ts';

/** Looks at an instance with something under way this often. A look reads a file per command. */
const BUSY_POLL_MS = 100;
/** Looks at an instance of which only time can bring something new this often. */
const QUIET_POLL_MS = 1_000;
/** `onEnd` may fail this often before a command ends without it: an end must not wait for ever. */
const ON_END_TRIES = 5;
/** From SIGTERM to SIGKILL of a run as the other back ends have it, in seconds. */
const STOP_TIMEOUT_S = 30;
/** Output of runner and agent kept per run, in bytes. */
const LOG_MAX_BYTES = 64 * 1024 * 1024;

interface OpenInstance {
  record: InstanceRecord;
  readonly worker: LocalWorker;
  /** Commands that have not ended. */
  readonly live: Map<string, LiveCommand>;
  timer?: NodeJS.Timeout;
  /** The end of the work that is queued for it. */
  turn: Promise<unknown>;
}

interface LiveCommand {
  record: CommandRecord;
  isLaunched: boolean;
  endTries: number;
}

/**
 * EC2, Auto Scaling and SSM on this machine: every worker is a directory on which the real script of the host runs. Their events go out
 * once, after the store has the change, and nobody makes up for one that is lost, as on AWS.
 */
export function localFleet(options: LocalFleetOptions): LocalFleet {
  const { clock, names } = options;
  const store = fleetStore(options.store);
  const limits = { ...fleetLimits, ...options.limits };
  const dataDir = resolve(options.dataDir);
  const warn = options.warn ?? (() => undefined);
  const open = new Map<string, OpenInstance>();
  const { publish, close: closeDelivery } = delivery(options);
  let groupSize = options.capacity;
  let closed = false;

  return {
    documents: () => Object.keys(options.documents),

    async send(request) {
      fail('send', request.instanceId);
      const document = documentFor(request);
      const instance = reachable(request.instanceId);
      const record = newCommand(request, document, clock.now());
      await store.keepCommand(record);
      await store.durable();
      instance.live.set(record.commandId, { record, isLaunched: false, endTries: 0 });
      // The answer comes first, the first look after it: SSM answers before anything has begun.
      lookAt(instance, 0);
      return record;
    },

    async cancel(commandId) {
      fail('cancel', commandId);
      const known = await store.command(commandId);
      if (!known) throw new FleetFault('unknown_command', `There is no command ${commandId}.`);
      const instance = open.get(known.instanceId);
      if (!instance) return;
      await inTurn(instance, async () => {
        const live = instance.live.get(commandId);
        if (live && live.record.status !== 'Cancelling') await become(live, 'Cancelling');
      });
    },

    command: store.command,
    output: ({ instanceId, commandId }) => workerOf(instanceId).output(commandId),

    async commands() {
      const all: CommandRecord[] = [];
      for await (const record of store.commands()) all.push(record);
      return all.sort((one, other) => (one.requestedAt < other.requestedAt ? 1 : -1));
    },

    async instances() {
      return [...open.values()].map(({ record }) => record);
    },

    async terminate(instanceId, { shrink = false } = {}) {
      fail('terminate', instanceId);
      const instance = known(instanceId);
      await inTurn(instance, () => leaveByHook(instance, 'terminated', shrink));
      return instance.record;
    },

    async protect(instanceId, isProtected) {
      const instance = known(instanceId);
      await inTurn(instance, async () => {
        if (!isInService(instance.record)) {
          const told = `The instance ${instanceId} is not in InService or EnteringStandby or Standby.`;
          throw new FleetFault('invalid_parameters', told);
        }
        await keep(instance, { ...instance.record, isProtected });
      });
    },

    async scaleIn() {
      const instance = [...open.values()].find(
        ({ record }) => isInService(record) && !record.isProtected && !record.leaving,
      );
      if (!instance) return undefined;
      await inTurn(instance, () => leaveByHook(instance, 'scaled in', true));
      return instance.record.instanceId;
    },

    async completeLifecycle(instanceId, of = 'terminate', abandon = false) {
      const instance = known(instanceId);
      await inTurn(instance, async () => {
        const { launching, ...record } = instance.record;
        const { leaving, state } = record;
        const isWaiting = of === 'launch' ? launching !== undefined && !leaving : leaving?.token !== undefined;
        if (!isWaiting || state === 'shutting-down' || state === 'terminated')
          throw new FleetFault('invalid_parameters', `No active Lifecycle Action found with instance ID ${instanceId}`);
        if (leaving) return keep(instance, { ...instance.record, leaving: { ...leaving, at: clock.now() } });
        await keep(instance, record);
        if (abandon) await leave(instance, 'terminated', 0, false);
      });
    },

    async interrupt(instanceId, how) {
      const instance = open.get(instanceId);
      if (instance?.record.state !== 'running' || instance.record.leaving) return false;
      await inTurn(instance, () => lose(instance, how));
      return true;
    },

    async recover() {
      await store.prune(nowMs(), (command) => workerOf(command.instanceId).forget(command.commandId));
      groupSize = (await store.groupSize(names.group)) ?? groupSize;
      for await (const record of store.instances()) opened(record);
      for await (const record of store.commands()) {
        const instance = open.get(record.instanceId);
        if (isOver(record) || !instance) continue;
        // What was about to be started is started again: a worker begins a command once.
        const isLaunched = instance.worker.isTaken(record.commandId);
        instance.live.set(record.commandId, { record, isLaunched, endTries: 0 });
      }
      for (const instance of open.values()) lookAt(instance, 0);
      await fill();
    },

    async close() {
      closed = true;
      closeDelivery();
      for (const { timer } of open.values()) clearTimeout(timer);
      await Promise.allSettled([...open.values()].map(({ turn }) => turn));
    },
  };

  function fail(operation: 'send' | 'cancel' | 'terminate', subject: string): void {
    const fault = options.failing?.(operation, subject);
    if (fault) throw fault;
  }

  function known(instanceId: string): OpenInstance {
    const found = open.get(instanceId);
    if (found) return found;
    throw new FleetFault('unknown_instance', `The instance ID '${instanceId}' does not exist`);
  }

  /** SSM knows an instance from its registration to its end, and one whose agent has fallen silent for a while yet. */
  function reachable(instanceId: string): OpenInstance {
    const found = known(instanceId);
    if (found.record.state === 'running') return found;
    throw new FleetFault('unknown_instance', `Instances [[${instanceId}]] not in a valid state for account`);
  }

  function documentFor({ document: name, parameters }: CommandRequest): CommandDocument {
    const document = options.documents[name];
    if (!document) throw new FleetFault('unknown_document', `Document with name ${name} does not exist.`);
    const why = whyInvalid(document, parameters);
    if (why !== undefined) throw new FleetFault('invalid_parameters', why);
    return document;
  }

  function workerOf(instanceId: string): LocalWorker {
    return localWorker(join(dataDir, 'workers', instanceId), instanceId);
  }

  function opened(record: InstanceRecord): OpenInstance {
    const instance: OpenInstance = {
      record,
      worker: workerOf(record.instanceId),
      live: new Map(),
      turn: Promise.resolve(),
    };
    open.set(record.instanceId, instance);
    return instance;
  }

  /** One thing at a time per instance, in the order of asking; then looks again when it is due. */
  function inTurn<Answer>(instance: OpenInstance, work: () => Promise<Answer>): Promise<Answer> {
    const answer = instance.turn.then(work);
    const done = (): void => {
      const waitMs = nextLookMs(instance, nowMs());
      if (waitMs !== undefined) lookAt(instance, waitMs);
    };
    instance.turn = answer.then(done, done);
    return answer;
  }

  function lookAt(instance: OpenInstance, afterMs: number): void {
    clearTimeout(instance.timer);
    if (closed) return;
    instance.timer = setTimeout(() => {
      if (closed) return;
      inTurn(instance, () => look(instance)).catch((error) =>
        warn(`${instance.record.instanceId}: not looked at, tried again`, error),
      );
    }, afterMs);
    instance.timer.unref();
  }

  /** Takes the steps between what is known of an instance and what there is of it. */
  async function look(instance: OpenInstance): Promise<void> {
    const { record } = instance;
    if (record.state === 'pending') return boot(instance);
    if (record.state === 'running' && record.booted === undefined) await register(instance);
    for (const live of [...instance.live.values()]) await lookAtCommand(instance, live);
    const { leaving, launching, state } = instance.record;
    if (state === 'running' && leaving && Date.parse(leaving.at) <= nowMs()) await move(instance, 'shutting-down');
    // A launch that nobody answered.
    else if (launching && Date.parse(launching.until) <= nowMs()) await leave(instance, 'terminated', 0, false);
    if (instance.record.state === 'shutting-down') await takeDown(instance);
  }

  async function boot(instance: OpenInstance): Promise<void> {
    instance.worker.boot(options.containersCommand);
    await move(instance, 'running');
    await register(instance);
  }

  /** The last thing that a boot script does. */
  async function register(instance: OpenInstance): Promise<void> {
    const { instanceId } = instance.record;
    const failure = options.failBoot?.(instanceId) ?? unfit();
    await options.announce(instanceId, failure);
    await keep(instance, { ...instance.record, booted: failure === undefined ? 'registered' : 'failed' });
  }

  async function lookAtCommand(instance: OpenInstance, live: LiveCommand): Promise<void> {
    const isHeard = instance.record.state === 'running' && instance.record.silentSince === undefined;
    if (!isHeard) return expire(instance, live);
    if (live.isLaunched) return lookAtScript(instance, live);
    const { commandId, status } = live.record;
    live.isLaunched = true;
    if (status === 'Cancelling') return instance.worker.abandon(commandId, 'cancelled');
    if (status === 'Pending') {
      const fate = options.fate?.(live.record);
      if (fate === 'Terminated') return over(instance, live, 'Cancelled', fate, NO_RESPONSE);
      if (fate === 'Undeliverable') return over(instance, live, 'Failed', fate, NO_RESPONSE);
      await become(live, 'InProgress');
    }
    try {
      launch(instance, live.record);
    } catch (error) {
      instance.worker.abandon(commandId, String(error));
    }
  }

  function launch({ worker }: OpenInstance, command: CommandRecord): void {
    const document = options.documents[command.document];
    if (!document) throw new FleetFault('unknown_document', `Document with name ${command.document} does not exist.`);
    worker.start(
      command,
      document,
      {
        runnerCommand: [...options.runnerCommand],
        supervisorCommand: [...options.supervisorCommand],
        runsDir: join(dataDir, 'runs'),
        runDirName: hashOf(command.commandId),
        environment: {},
        logMaxBytes: LOG_MAX_BYTES,
        ...options.containerOf?.(command),
      },
      options.stopTimeoutSeconds ?? STOP_TIMEOUT_S,
    );
  }

  async function lookAtScript(instance: OpenInstance, live: LiveCommand): Promise<void> {
    const { commandId, status, startedAt = '', executionSeconds } = live.record;
    const isOverdue = nowMs() - Date.parse(startedAt) >= executionSeconds * 1_000;
    const end = await instance.worker.end(commandId);
    if (end) {
      const { exitCode } = end;
      if (exitCode === 0) return over(instance, live, 'Success', 'Success', 0);
      if (status === 'Cancelling') return over(instance, live, 'Cancelled', 'Cancelled', exitCode ?? KILLED);
      // It does not tell a script that it has killed from one that exits with this code.
      if (exitCode === KILLED || (exitCode === undefined && isOverdue)) {
        return over(instance, live, 'TimedOut', 'ExecutionTimedOut', KILLED);
      }
      // Of a script that somebody else killed it knows no code.
      return over(instance, live, 'Failed', 'Failed', exitCode ?? NO_RESPONSE);
    }
    if (isOverdue || status === 'Cancelling') instance.worker.killCommand(commandId);
  }

  /** Nobody hears of what becomes of the script; when all its time is over SSM says that it was never delivered, even of one that ran. */
  async function expire(instance: OpenInstance, live: LiveCommand): Promise<void> {
    const { requestedAt, deliverySeconds, executionSeconds, startedAt } = live.record;
    const seconds = deliverySeconds + (startedAt === undefined ? 0 : executionSeconds);
    if (nowMs() - Date.parse(requestedAt) < seconds * 1_000) return;
    await over(instance, live, 'TimedOut', 'DeliveryTimedOut', NO_RESPONSE);
  }

  async function over(
    instance: OpenInstance,
    live: LiveCommand,
    status: InvocationStatus,
    details: StatusDetails,
    responseCode: number,
  ): Promise<void> {
    const ended = { ...live.record, status, details, responseCode, endedAt: clock.now() };
    try {
      await options.onEnd?.(ended);
    } catch (error) {
      warn(`${ended.commandId}: the end was not taken`, error);
      live.endTries += 1;
      if (live.endTries < ON_END_TRIES) return;
    }
    await keepCommand(live, ended);
    instance.live.delete(ended.commandId);
    publish(invocationEvent(ended, clock.now()));
  }

  async function become(live: LiveCommand, status: InvocationStatus): Promise<void> {
    const started = status === 'InProgress' ? { startedAt: clock.now() } : {};
    await keepCommand(live, { ...live.record, ...started, status, details: status });
    await store.durable();
    publish(invocationEvent(live.record, clock.now()));
  }

  async function lose(instance: OpenInstance, how: Loss): Promise<void> {
    const { record } = instance;
    switch (how) {
      case 'spot':
        await leave(instance, 'spot', limits.spotNoticeMs, false);
        return publish(spotEvent(record.instanceId, clock.now()));
      case 'host':
        await keep(instance, { ...record, silentSince: clock.now() });
        await instance.worker.powerOff();
        return leave(instance, 'host lost', limits.lossNoticedMs, false);
      case 'agent':
        return keep(instance, { ...record, silentSince: clock.now() });
    }
  }

  /** Auto Scaling asks before it takes a machine away. */
  async function leaveByHook(instance: OpenInstance, why: InstanceEnd, shrink: boolean): Promise<void> {
    if (instance.record.leaving?.token !== undefined) return;
    const token = randomUUID();
    await leave(instance, why, limits.terminateHookMs, shrink, token);
    publish(terminateHookEvent(instance.record.instanceId, names, token, clock.now()));
  }

  async function leave(
    instance: OpenInstance,
    why: InstanceEnd,
    afterMs: number,
    shrink: boolean,
    token?: string,
  ): Promise<void> {
    const { leaving: before, state } = instance.record;
    if (state === 'shutting-down' || state === 'terminated') return;
    if (shrink && !before?.shrink) await resize(groupSize - 1);
    const at = new Date(nowMs() + afterMs).toISOString();
    const leaving = { why, at, shrink, ...(token === undefined ? {} : { token }) };
    await keep(instance, { ...instance.record, leaving });
    await store.durable();
    if (afterMs === 0) await move(instance, 'shutting-down');
  }

  async function takeDown(instance: OpenInstance): Promise<void> {
    if (!(await instance.worker.powerOff())) return;
    instance.worker.remove();
    await move(instance, 'terminated');
    await fill();
  }

  /** Auto Scaling makes up for every instance that is not there any more. */
  async function fill(): Promise<void> {
    const there = [...open.values()].filter(({ record: { state } }) => state === 'pending' || state === 'running');
    for (let number = there.length; number < groupSize && !closed; number++) {
      const at = clock.now();
      const instanceId = `i-${randomBytes(9).toString('hex').slice(0, 17)}`;
      const { fleet } = names;
      const until = new Date(nowMs() + limits.launchHookMs).toISOString();
      const record: InstanceRecord = {
        ...{ schemaVersion: 1, instanceId, fleet, state: 'pending', launchedAt: at, changedAt: at },
        ...(names.launchHook === undefined ? {} : { launching: { token: randomUUID(), until } }),
      };
      await store.keepInstance(record);
      const instance = opened(record);
      publish(stateEvent(record));
      if (record.launching) publish(launchHookEvent(record, names));
      lookAt(instance, 0);
    }
  }

  async function resize(size: number): Promise<void> {
    groupSize = Math.max(0, size);
    await store.keepGroupSize(names.group, groupSize);
  }

  async function move(instance: OpenInstance, state: InstanceRecord['state']): Promise<void> {
    await keep(instance, { ...instance.record, state, changedAt: clock.now() });
    await store.durable();
    publish(stateEvent(instance.record));
  }

  /** This process is the only writer of its instances and commands. */
  async function keep(instance: OpenInstance, record: InstanceRecord): Promise<void> {
    await store.keepInstance(record);
    instance.record = record;
  }

  async function keepCommand(live: LiveCommand, record: CommandRecord): Promise<void> {
    await store.keepCommand(record);
    live.record = record;
  }

  function nowMs(): number {
    return Date.parse(clock.now());
  }
}

/** What SSM's agent says of a script that it has killed (amazon-ssm-agent, executers, GetStatus). */
const KILLED = 137;

/** Auto Scaling counts on it: it has begun, and is not about to be taken away by its group. */
const isInService = ({ state, launching, leaving }: InstanceRecord): boolean =>
  state === 'running' && launching === undefined && leaving?.token === undefined;

/** When the next look may find something new; undefined if never of itself. */
function nextLookMs({ record, live }: OpenInstance, nowMs: number): number | undefined {
  const { state, booted, leaving, launching, silentSince } = record;
  const isHeard = state === 'running' && silentSince === undefined;
  if (state === 'pending' || state === 'shutting-down' || (isHeard && (booted === undefined || live.size > 0))) {
    return BUSY_POLL_MS;
  }
  const nextAt = leaving?.at ?? launching?.until;
  if (state !== 'terminated' && nextAt) return Math.max(0, Math.min(Date.parse(nextAt) - nowMs, QUIET_POLL_MS));
  return live.size > 0 ? QUIET_POLL_MS : undefined;
}
