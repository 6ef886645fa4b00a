import { isSettled } from '../../../lifecycle/states.ts';
import type { Rejection, Task } from '../../../schemas/task.ts';
import { placeOf } from '../../aws/dynamo-items.ts';
import type { RecordIndex, RecordStore, StoredRecord } from '../../ports.ts';
import { fleetKey, REPOSITORIES_KEY, runKey, taskKey, workerKey } from '../../records.ts';

/** The records that a client may see: tasks, the runs of their attempts, what is configured for repositories, and the workers of fleets. */
const TASKS = taskKey('');
const RUNS = runKey('', 0).replace(/#.*/, '#');
const OTHERS = [REPOSITORIES_KEY, workerKey(''), fleetKey('')];
/** Records read at once. */
const PAGE = 500;

/** A record as an item of the table, in plain JSON. A world keeps neither `writeId` nor `expiresAt`. */
export interface RecordItem extends Partial<Pick<RecordIndex, 'by' | 'open'>> {
  readonly key: string;
  readonly revision: number;
  readonly value: unknown;
  readonly place?: string;
}

export const isShown = (key: string): boolean => [TASKS, RUNS, ...OTHERS].some((prefix) => key.startsWith(prefix));
const isTask = (key: string): boolean => key.startsWith(TASKS);
export const isRun = (key: string): boolean => key.startsWith(RUNS);

export function itemOf({ key, revision, value }: StoredRecord): RecordItem {
  if (!isTask(key)) return { key, revision, value };
  const { by, at, open } = indexOf(value as Task | Rejection);
  return { key, revision, value, by, place: placeOf(at, key), open };
}

/** Only the tasks port writes below the key of tasks. */
const indexOf = (answer: Task | Rejection): RecordIndex =>
  answer.status === 'REJECTED'
    ? { by: answer.userId, at: answer.at, open: false }
    : { by: answer.userId, at: answer.submittedAt, open: !isSettled(answer) };

/** Every item that is shown; of tasks alone, those of one user. There are as many as a person has tasks. */
export async function allItems(
  store: Pick<RecordStore, 'list'>,
  { tasksOnly = false, by }: { readonly tasksOnly?: boolean; readonly by?: string } = {},
): Promise<RecordItem[]> {
  const items: RecordItem[] = [];
  for (const prefix of tasksOnly ? [TASKS] : [TASKS, RUNS, ...OTHERS]) {
    let after: string | undefined;
    for (let more = true; more; ) {
      const page = await store.list(prefix, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      items.push(...page.map(itemOf).filter((item) => by === undefined || item.by === by));
      after = page.at(-1)?.key;
      more = page.length === PAGE;
    }
  }
  return items;
}
