import {
  DescribeTasksCommand,
  type DescribeTasksCommandOutput,
  type ECSClient,
  type Task as EcsTask,
  type Failure,
  ListTasksCommand,
  type ListTasksCommandInput,
  RunTaskCommand,
  type RunTaskCommandOutput,
  StopTaskCommand,
} from '@aws-sdk/client-ecs';
import type * as z from 'zod';
import { type EcsTaskStateChangeDetail, ecsTaskStateChangeDetail } from '../../events/aws/ecs-task-state-change.ts';
import { readEcsTask } from '../../lifecycle/ecs-task.ts';
import { userFamilyOf } from '../../lifecycle/user-definition.ts';
import { because, type Reason } from '../../schemas/reason.ts';
import { type EcsHandle, ecsHandle, ownHandle } from '../../schemas/run-handle.ts';
import type { RunObservation } from '../../schemas/run-observation.ts';
import { ComputeError } from '../errors.ts';
import type { EcsBackend, StartOutcome, StartRun, StopOutcome } from '../ports.ts';
import { type EcsFault, type EcsOperation, ecsError, ecsFaultOf, startFaultOf, startRemedyOf } from './ecs-faults.ts';
import { OVERRIDES_MAX_CHARS, overridesOf, runTaskInput, type StartPlace } from './run-task.ts';
import { sdkError } from './sdk-errors.ts';
import { watchSends } from './watch-sends.ts';

/** Tasks of one DescribeTasks call. */
const DESCRIBE_MAX = 100;
/** `reason` of a stop, in characters: earlier editions of the API reference promise no more. */
const STOP_REASON_MAX_CHARS = 255;
/** Pages of 100 tasks at the most that were started for one attempt. One is normal; more than this is no answer but a defect. */
const LIST_PAGES_MAX = 10;

export interface EcsBackendOptions extends StartPlace {
  readonly client: ECSClient;
  /** Family of the base definitions: runs that have stopped are looked for in it, and in that of its clones. */
  readonly taskFamily: string;
  /** Told what was strange but did not stop the work. */
  readonly warn?: (message: string) => void;
  /** Told what ended an attempt and what an operator must mend. */
  readonly failed?: (error: ComputeError) => void;
}

/**
 * Runs as tasks of Amazon ECS on Fargate. Starting is idempotent by client token, for the 24 h that ECS remembers it. What exists is
 * stopped and asked about by its own handle, never by what configuration says now.
 */
export function ecsBackend(options: EcsBackendOptions): EcsBackend {
  const { client, cluster, taskFamily } = options;
  const warn = options.warn ?? (() => undefined);

  return {
    async start(run) {
      const overrides = overridesOf(run);
      const chars = JSON.stringify(overrides).length;
      if (chars > OVERRIDES_MAX_CHARS) return refused(`overrides: ${chars} characters, at most ${OVERRIDES_MAX_CHARS}`);
      const command = new RunTaskCommand(runTaskInput(run, overrides, options));
      const sends = watchSends((error) => ecsFaultOf('RunTask', error) === 'unavailable');
      command.middlewareStack.add(sends.middleware, sends.place);
      let answer: RunTaskCommandOutput;
      try {
        answer = await client.send(command);
      } catch (error) {
        const fault = ecsFaultOf('RunTask', error);
        if (fault === 'adopt') return adopted(error, run);
        const failed = ecsError('RunTask', error, fault);
        const reason = refusalOf(fault, `${failed.message}${startRemedyOf(error)}`);
        // What is turned away at the door says nothing of an earlier call, which may have gone through, and taken the last of a quota.
        if (reason === undefined || run.repeats === true || sends.wasUnheard()) throw failed;
        if (fault === 'denied') options.failed?.(failed);
        return { outcome: 'refused', reason };
      }
      const { tasks: [task, ...more] = [], failures = [] } = answer;
      if (task && more.length === 0) return { outcome: 'started', handle: handleOf(task) };
      return notStarted(answer.tasks?.length ?? 0, failures);
    },

    async stop(given, reason) {
      const handle = ownHandle('ecs', given);
      const target = {
        cluster: handle.clusterArn,
        task: handle.taskArn,
        reason: reason.slice(0, STOP_REASON_MAX_CHARS),
      };
      try {
        const { task } = await client.send(new StopTaskCommand(target));
        return stopOutcomeOf(task?.lastStatus);
      } catch (error) {
        const fault = ecsFaultOf('StopTask', error);
        if (fault === 'gone') return 'not_found';
        if (fault !== 'look') throw ecsError('StopTask', error, fault);
        const [found] = await describe(handle.clusterArn, [handle.taskArn]);
        if (!found) return 'not_found';
        if (stopOutcomeOf(found.lastStatus) === 'already_ended') return 'already_ended';
        // It lives, and ECS does not stop it: said as it is.
        throw ecsError('StopTask', error, 'refused');
      }
    },

    async ask({ startedBy, handle: given }) {
      const handle = given && ownHandle('ecs', given);
      const places = new Map<string, readonly EcsHandle[]>([[cluster, []]]);
      if (handle) places.set(handle.clusterArn, [handle]);
      const found = await Promise.all(
        [...places].map(async ([place, handles]) => {
          const listed = await startedIn(place, startedBy, handles.length > 0);
          return describe(place, [...new Set([...handles.map(({ taskArn }) => taskArn), ...listed])]);
        }),
      );
      return found.flat().map(observed);
    },
  };

  /** The tasks among these that ECS knows; one that it does not know (yet, or any more) is left out. */
  async function describe(place: string, arns: readonly string[]): Promise<EcsTaskStateChangeDetail[]> {
    const found: EcsTaskStateChangeDetail[] = [];
    for (let first = 0; first < arns.length; first += DESCRIBE_MAX) {
      const question = { cluster: place, tasks: arns.slice(first, first + DESCRIBE_MAX) };
      let answer: DescribeTasksCommandOutput;
      try {
        answer = await client.send(new DescribeTasksCommand(question));
      } catch (error) {
        const fault = ecsFaultOf('DescribeTasks', error);
        if (fault === 'gone') return found;
        throw ecsError('DescribeTasks', error, fault);
      }
      const strange = answer.failures?.find(({ reason }) => reason !== 'MISSING');
      if (strange) throw new ComputeError('compute_unavailable', `ECS DescribeTasks: ${sentenceOf(strange)}`);
      found.push(...(answer.tasks ?? []).map(detailOf));
    }
    return found;
  }

  /** ARNs of the tasks that were started so: those that are wanted to run, and those that were stopped in the last hour. */
  async function startedIn(place: string, startedBy: string, hasHadRuns: boolean): Promise<string[]> {
    try {
      // Those that are wanted to run are listed when no status is named. The API reference says that startedBy stands alone.
      const wanted = await list({ cluster: place, startedBy });
      // Asked second: a task that is told to stop in between is in both answers, not in none.
      return [...wanted, ...(await stoppedIn(place, startedBy))];
    } catch (error) {
      if (error instanceof ComputeError) throw error;
      const fault = ecsFaultOf('ListTasks', error);
      // A cluster that a handle names has been there. That the configured one is missing says nothing about runs.
      if (fault === 'gone' && hasHadRuns) return [];
      throw ecsError('ListTasks', error, fault);
    }
  }

  /** Asks for the stopped ones in the words that are known to work; where ECS keeps to its reference and refuses, for all of the families. */
  async function stoppedIn(place: string, startedBy: string): Promise<string[]> {
    try {
      return await list({ cluster: place, startedBy, desiredStatus: 'STOPPED' });
    } catch (error) {
      if (sdkError(error).name !== 'InvalidParameterException') throw error;
      const stopped: string[] = [];
      for (const family of [taskFamily, userFamilyOf(taskFamily)]) {
        stopped.push(...(await list({ cluster: place, family, desiredStatus: 'STOPPED' })));
      }
      const meant = (await describe(place, stopped)).filter((task) => task.startedBy === startedBy);
      return meant.map(({ taskArn }) => taskArn);
    }
  }

  async function list(question: ListTasksCommandInput): Promise<string[]> {
    const arns: string[] = [];
    let nextToken: string | undefined;
    for (let page = 0; page < LIST_PAGES_MAX; page++) {
      const answer = await client.send(new ListTasksCommand({ ...question, nextToken }));
      arns.push(...(answer.taskArns ?? []));
      nextToken = answer.nextToken;
      if (nextToken === undefined) return arns;
    }
    throw new ComputeError(
      'compute_invalid',
      `ECS ListTasks: more than ${LIST_PAGES_MAX} pages of ${question.startedBy ?? question.family}`,
    );
  }

  function observed(detail: EcsTaskStateChangeDetail): RunObservation {
    const { observation, remark } = readEcsTask(detail);
    if (remark !== undefined) warn(`${detail.taskArn}: ${remark}`);
    // Left out it would count as missing, and a run in a status that is new to us as gone.
    if (!observation) throw new ComputeError('compute_unavailable', `ECS DescribeTasks: ${detail.taskArn}: ${remark}`);
    return observation;
  }

  /** The client token has a task of other parameters, as when the function was deployed anew between two tries: that one counts. */
  async function adopted(conflict: unknown, run: StartRun): Promise<Started> {
    const { resourceIds = [] } = conflict as { resourceIds?: string[] };
    const found = await describe(cluster, resourceIds);
    const own = found.find(({ startedBy }) => startedBy === run.startedBy);
    if (own) {
      warn(`${own.taskArn}: adopted, since client token ${run.clientToken} was used with other parameters`);
      return { outcome: 'started', handle: ownHandle('ecs', observed(own).handle) };
    }
    const [other] = found;
    if (other) return refused(`client token ${run.clientToken} has started a run of "${other.startedBy}"`);
    // Not visible yet, or forgotten: the next try or the due date of the start tells.
    throw ecsError('RunTask', conflict, 'unavailable');
  }
}

function notStarted(tasks: number, failures: readonly Failure[]): Started {
  const [failure] = failures;
  if (!failure || tasks > 0) {
    const told = `ECS RunTask answered ${tasks} tasks and ${failures.length} failures`;
    throw new ComputeError('compute_unavailable', told);
  }
  const fault = startFaultOf(failure);
  const reason = refusalOf(fault, sentenceOf(failure));
  if (reason) return { outcome: 'refused', reason };
  throw new ComputeError('compute_unavailable', `ECS RunTask: ${sentenceOf(failure)}`);
}

/** Why nothing was started, where the answer says that for certain. An answer that may have been lost on its way says nothing. */
function refusalOf(fault: EcsFault, told: string): Reason | undefined {
  switch (fault) {
    case 'capacity':
      return because('no_capacity', told);
    case 'throttled':
      return because('start_throttled', told);
    case 'denied':
    case 'refused':
      return because('start_refused', told);
    case 'unavailable':
    case 'adopt':
    case 'gone':
    case 'look':
      return undefined;
  }
}

type Started = StartOutcome<EcsHandle>;

const refused = (message: string): Started => ({
  outcome: 'refused',
  reason: because('start_refused', message),
});

const sentenceOf = ({ arn, reason, detail }: Failure): string =>
  [arn, reason, detail].filter((part) => part !== undefined && part !== '').join(': ');

const stopOutcomeOf = (lastStatus: string | undefined): StopOutcome =>
  lastStatus === 'STOPPED' || lastStatus === 'DELETED' ? 'already_ended' : 'stopping';

/** A task as the SDK gives it, in the shape of the event: with times as text. */
function detailOf(task: EcsTask): EcsTaskStateChangeDetail {
  const parsed = ecsTaskStateChangeDetail.safeParse(JSON.parse(JSON.stringify(task)));
  if (parsed.success) return parsed.data;
  throw incomplete('DescribeTasks', task, parsed.error);
}

function handleOf(task: EcsTask): EcsHandle {
  const { taskArn, clusterArn, taskDefinitionArn } = task;
  const region = taskArn?.split(':')[3];
  const parsed = ecsHandle.safeParse({ backend: 'ecs', taskArn, clusterArn, taskDefinitionArn, region });
  if (parsed.success) return parsed.data;
  throw incomplete('RunTask', task, parsed.error);
}

function incomplete(operation: EcsOperation, { taskArn }: EcsTask, { issues }: z.ZodError): ComputeError {
  const told = issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  return new ComputeError('compute_unavailable', `ECS ${operation}: a task that is incomplete, ${taskArn}: ${told}`);
}
