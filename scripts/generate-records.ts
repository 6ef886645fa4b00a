import { repositoriesRecord, repositoryEntry } from '../schemas/repository-config.ts';
import { runRecord } from '../schemas/run-record.ts';
import { grant, holder, slot, waiter } from '../schemas/slot.ts';
import { historyEntry, rejection, statuses, storedFact, task, taskRun } from '../schemas/task.ts';
import { userDefinitionRecord } from '../schemas/task-definition.ts';
import { code, table } from './markdown.ts';
import { alternativesOf, type Field, fieldsOf } from './schema-fields.ts';

type Meanings = Readonly<Record<string, string>>;

/** What the fields of each record are for; names and types come from the schemas. */
const meanings: Readonly<Record<string, { readonly fields: () => readonly Field[]; readonly meanings: Meanings }>> = {
  TASK: {
    fields: taskFields,
    meanings: {
      taskId: 'Derived from user and idempotency key.',
      version: 'Rises by one with every transition, and with nothing else.',
      attempt: 'The current attempt, from 1.',
      attempts: 'How many attempts the task may have.',
      userId: 'Who asked.',
      repository: 'Path or URL that git can clone.',
      baseBranch: 'Branch to start from; without it, what `HEAD` names.',
      compute: 'The back end.',
      agentCommand: 'One `/bin/sh -c` line.',
      labels: 'Free text of the producer.',
      origin: 'Where the request came from.',
      configuration: 'Name of the configuration that held for the repository when the task was accepted.',
      isolation: 'Who shares what the run stands on.',
      capacity: 'Whether its runs may use capacity that is taken back.',
      fleet: 'Fleet of the worker, for back ends that have fleets.',
      environment: 'Variables of the agent, by where their values are found when the run starts.',
      subscribers: 'Who is told how the task ended.',
      retryAgentFailure: 'Whether the agent failing by itself leads to another attempt.',
      firstOutputSeconds: 'How long the agent may take for its first word.',
      pauses: 'How often a rate limit paused the task; pauses use up no attempts.',
      resumeAt: 'Until when a rate limit asked it to wait.',
      context: 'Issue or pull request whose text the agent is given too.',
      contextRef: 'Payload that holds that text.',
      delay: 'Why its next step waits, and since when: what it needs from outside could not be had.',
      screening: 'Present where every text must pass screening before compute starts.',
      screened: 'Which texts did.',
      slotKey: 'Who waits for whom.',
      priority: 'Higher goes first in the line of its key.',
      requestHash: 'Fingerprint of the request: tells a repetition from a reused key.',
      correlationId: 'Rides on every fact of the task.',
      traceparent: 'W3C trace context of the request.',
      submittedAt: 'When the request was accepted; the index sorts by it.',
      deadlineAt: 'When the task is out of time, over all attempts.',
      promptRef: 'Payload that holds the prompt.',
      inputs: 'Payloads of all attempts; settling deletes each.',
      savedWork: 'What a lost attempt pushed; the next one continues from it.',
      due: 'Purpose → time: who is to look, and when at the latest.',
      armedAt: 'Earliest time for which the alarm clock is known to be set.',
      history: 'Every transition, oldest first.',
      status: 'The state.',
      queuedAt: 'Since when it waits in line.',
      input: 'Payload that holds all that the current run needs.',
      run: 'The run of the current attempt.',
      exitCode: 'Of the run that exited before its report was seen.',
      intent: 'Why the run must end.',
      reason: 'Why it stops, waits or ended: code and message.',
      endedAt: 'When the task became terminal.',
      settledAt: 'When nothing was left to do.',
      detectedBy: 'Who noticed the end first.',
      result: 'What the report says was achieved.',
    },
  },
  'history entry': {
    fields: () => fieldsOf(historyEntry),
    meanings: {
      transition: 'Row of the transition table.',
      from: 'Null for the first.',
      to: 'The state that it led to.',
      at: 'When it was decided.',
      version: 'The version that it made.',
      attempt: 'The attempt that it belongs to.',
      lostFor: 'Code of the reason why the attempt was lost or paused; outlives what the facts say.',
      paused: 'It was paused, which uses up no attempt.',
      cause: 'Id and type of the event that caused it; makes a duplicate recognisable.',
      facts: 'What it said, whole, so that anyone can say it again unchanged.',
      proven: 'Its driving fact was delivered, or it is too old to matter: nothing to repeat.',
    },
  },
  'stored fact': {
    fields: () => fieldsOf(storedFact),
    meanings: {
      id: '`<taskId>#<version>#<type>`: the same whoever publishes it and however often.',
      type: 'Detail-type.',
      schemaVersion: 'Version of the shape of its data.',
      data: 'Left out once the entry is older than the previous attempt.',
    },
  },
  'run in a task': {
    fields: () => fieldsOf(taskRun),
    meanings: {
      attempt: 'The attempt that it runs.',
      startedBy: '`baton/<stage>/<taskId>/<attempt>`: stands in every native event of the run.',
      dispatchedAt: 'When it was handed to the back end.',
      definition: 'Task definition that every start of this attempt names.',
      handle:
        'All that stopping and asking need. On ECS it comes with the answer or with the first event; on AgentCore and on a fleet it is stored with the step to STARTING, before anything is started.',
      seen: 'Native identity → highest order number seen.',
      endedIds: 'Native identities that were seen to end.',
      stopRequests: 'How many stops the back end answered.',
      life: 'Its signs of life as last seen, as one text, and since when they are the same: where the back end tells nothing.',
      proofWaits: 'How often giving up was put off because no stop had been answered.',
      ended: 'How the compute ended: `proven`, `never_started` or `given_up`.',
    },
  },
  REJECTION: {
    fields: () => fieldsOf(rejection),
    meanings: {
      status: 'Tells it from a task.',
      taskId: 'The id that the task would have had.',
      userId: 'Who asked.',
      requestHash: 'Fingerprint of the request.',
      reason: 'Why it was refused.',
      at: 'When.',
      cause: 'The request.',
    },
  },
  RUN: {
    fields: () => fieldsOf(runRecord),
    meanings: {
      taskId: 'The task.',
      attempt: 'The attempt.',
      tokenHash: 'SHA-256 of the run token; the token itself is stored in the payload only.',
      openedAt: 'When the input was prepared.',
      claim: 'Who runs it: native identity and time. Written once.',
      heartbeatAt:
        "Last sign of life, by the runner's clock, where the back end needs one. It is compared with the one before, never with a clock.",
      confirmedAt: 'When the claimant last asked, just before a push, whether it still counts.',
      progress: 'The newest word of the agent, with its number.',
      firstOutputAt: 'When the agent itself first said something.',
      report: 'What the run achieved. Written once.',
      savedWork: 'What a stopped or failed agent pushed.',
      strayHandle: 'A handle that arrived when the task had moved on; its run was stopped at once.',
      noClaim: 'Nobody may claim this attempt any more.',
      closed: 'Nothing of its runner counts any more.',
      outlivedAt: 'When its claimant was first known to have lived on after that.',
    },
  },
  SLOT: {
    fields: () => fieldsOf(slot),
    meanings: {
      key: 'The slot key.',
      limit: 'How many may hold at once.',
      holders: 'Lease → holder.',
      waiters: 'Lease → waiter.',
      nextOrder: 'Number of the next arrival.',
    },
  },
  REPOSITORIES: {
    fields: () => fieldsOf(repositoriesRecord),
    meanings: {
      entries: 'The configurations.',
      removed: 'What was removed last, oldest first: name, when it was asked for, and by which request.',
    },
  },
  'repository entry': {
    fields: () => fieldsOf(repositoryEntry),
    meanings: {
      name: 'An address, or a pattern of them.',
      config: 'What holds.',
      setAt: 'When it was asked for.',
      setBy: 'Id of the request.',
      warning: 'What of it the deployment did not have then.',
    },
  },
  TASKDEF: {
    fields: () => fieldsOf(userDefinitionRecord),
    meanings: {
      userId: 'The user.',
      configuration: 'Name of the configuration that says what the user gets.',
      current: 'The clone from which the next run of the user starts, while base and terms are the same.',
      registering: 'Which clone somebody registers, since when, and for which start.',
      superseded: 'Clones that no new run uses, and since when.',
    },
  },
  holder: {
    fields: () => fieldsOf(holder),
    meanings: {
      since: 'When it got the slot.',
      priority: 'As it asked.',
      grant: 'A promoted holder keeps its `SlotGranted` until its task has taken it up.',
    },
  },
  waiter: {
    fields: () => fieldsOf(waiter),
    meanings: {
      since: 'When it began to wait.',
      priority: 'Higher goes first.',
      order: 'Arrival: first in, first out inside a priority.',
      correlationId: 'Rides on its grant.',
    },
  },
  grant: {
    fields: () => fieldsOf(grant),
    meanings: {
      fact: 'The `SlotGranted`, whole.',
      at: 'When it was granted.',
      cause: 'What freed the place.',
      correlationId: 'Of the task that waits.',
    },
  },
};

/** Names of the field tables that the page must have. */
export const recordTables = Object.keys(meanings);

/** Fills the field tables of `docs/records.md`; the text around them is written by hand. Throws when one has no place. */
export function withRecordTables(text: string): string {
  return recordTables.reduce((rest, name) => {
    const [begin, end] = [`<!-- fields of ${name}: generated -->`, `<!-- end of ${name} -->`];
    const [from, to] = [rest.indexOf(begin), rest.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/records.md has no place "${begin}" … "${end}"`);
    return `${rest.slice(0, from + begin.length)}\n${fieldTable(name)}\n${rest.slice(to)}`;
  }, text);
}

function fieldTable(name: string): string {
  const described = meanings[name];
  const fields = described?.fields() ?? [];
  const unknown = Object.keys(described?.meanings ?? {}).filter((known) => !fields.some((one) => one.name === known));
  if (unknown.length > 0)
    throw new Error(`${name} has no field ${unknown.join(', ')}: remove it from scripts/generate-records.ts`);
  return table(
    ['field', 'type', 'present', 'meaning'],
    fields.map((field) => {
      const meaning = described?.meanings[field.name];
      if (meaning === undefined) throw new Error(`say in scripts/generate-records.ts what ${name}.${field.name} means`);
      return [code(field.name), field.type, presenceOf(field), meaning];
    }),
  );
}

interface TaskField extends Field {
  /** States in which the field exists, for those that do not have it always. */
  readonly only?: string;
}

const presenceOf = (field: TaskField): string => field.only ?? (field.required ? 'always' : 'if known');

/** The fields of all states; one that not every state has says which do. */
function taskFields(): TaskField[] {
  const perState = alternativesOf(task);
  const found = new Map<string, TaskField>();
  for (const field of perState.flat()) {
    if (found.has(field.name)) continue;
    const type = field.name === 'status' ? 'one of the states' : field.type;
    const having = statuses.filter((_status, at) => perState[at]?.some((one) => one.name === field.name));
    found.set(field.name, { ...field, type, ...(having.length < statuses.length ? { only: having.join(', ') } : {}) });
  }
  return [...found.values()];
}
