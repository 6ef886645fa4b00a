import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Rejection, Task } from '../schemas/task.ts';
import { ARCHIVE_RETENTION_D } from './engine/archive.ts';
import { openDataDir } from './engine/data-dir.ts';
import { slicesIn } from './engine/file-archive.ts';
import { openLibsqlFile } from './engine/libsql-file.ts';
import { openLibsqlStore } from './engine/libsql-store.ts';
import { type RebuildReport, rebuild } from './engine/rebuild.ts';
import { BatonError } from './errors.ts';
import { shadowKey, taskKey } from './records.ts';

const DAY_MS = 86_400_000;
/** Records read at once. */
const PAGE = 200;

/**
 * Folds the archive of a data directory into shadow records in another, empty one, and compares them with the live records; whether
 * a world runs there or not. Throws BatonError: `bad_input` when there is no world or the target is not empty, and those of stores.
 */
export async function rebuildWorld({
  from,
  into,
}: {
  readonly from: string;
  readonly into: string;
}): Promise<RebuildReport> {
  const source = resolve(from);
  const target = resolve(into);
  const file = join(source, 'baton.db');
  if (!existsSync(file)) {
    throw new BatonError('bad_input', `${source} holds no world`, { remedy: 'Name its data directory with --data.' });
  }
  assertEmpty(target);
  const beganMs = Date.now();
  const live = openLibsqlFile(file);
  try {
    const shadow = await openLibsqlStore({ file: openDataDir(target).store });
    try {
      return await rebuild({
        slices: slicesIn(join(source, 'archive'), beganMs - ARCHIVE_RETENTION_D * DAY_MS, Number.MAX_SAFE_INTEGER),
        recordOf: async (taskId) => taskIn(live.read(taskKey(taskId))?.record.value),
        async *records() {
          for (let after = ''; ; ) {
            const page = live.page(taskKey(''), after, PAGE);
            for (const { record } of page) {
              const task = taskIn(record.value);
              if (task) yield task;
            }
            after = page.at(-1)?.record.key ?? '';
            if (page.length < PAGE) return;
          }
        },
        async keep(projection) {
          await shadow.put(shadowKey(projection.taskId), projection, 'absent');
        },
        beganMs,
      });
    } finally {
      await shadow.close();
    }
  } finally {
    live.close();
  }
}

function assertEmpty(target: string): void {
  if (!existsSync(target)) return;
  const isEmpty = statSync(target).isDirectory() && readdirSync(target).length === 0;
  if (isEmpty) return;
  throw new BatonError('bad_input', `${target} is not empty`, { remedy: 'Name a directory that does not exist yet.' });
}

/** A rejection is no task. */
function taskIn(value: unknown): Task | undefined {
  const answer = value as Task | Rejection | undefined;
  return answer && answer.status !== 'REJECTED' ? answer : undefined;
}
