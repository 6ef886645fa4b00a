import { parentPort, workerData } from 'node:worker_threads';
import Database from 'libsql';
import { described } from './libsql-file.ts';

/** What the store starts this thread with. */
export interface WriterOptions {
  file: string;
  /** Stops the file's growth at this many pages, as a full disk would. For tests. */
  maxPages?: number;
}

/** A batch: six cells per operation (key, revision, value, by, at, open); revision 0 deletes the key. 'close' ends the thread. */
export type WriterRequest = (string | number | null)[] | 'close';

/** `committed`: the batch is on disk. `failed`: it is not, and no later one will be. */
export type WriterAnswer = { outcome: 'ready' | 'committed' } | { outcome: 'failed'; code: string; message: string };

const CELLS = 6;

/** Pages (4 KiB) in the write-ahead log before a commit copies them back: 16 MiB, so hot pages are copied once for many batches. */
const CHECKPOINT_PAGES = 4_000;

if (parentPort) serve(parentPort, workerData as WriterOptions);

/** The thread that owns every write to the file: one batch is one synced transaction, batches commit in the order of their arrival. */
function serve(port: NonNullable<typeof parentPort>, options: WriterOptions): void {
  const db = new Database(options.file, { timeout: 5_000 });
  db.exec(`PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};`);
  if (options.maxPages !== undefined) db.exec(`PRAGMA max_page_count = ${options.maxPages}`);
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const remove = db.prepare('DELETE FROM records WHERE key = ?');
  // Most writes leave the listing alone: they need not touch its indexes.
  const rewrite = db.prepare(
    'UPDATE records SET revision = ?, value = ? WHERE key = ? AND by IS ? AND at IS ? AND open IS ?',
  );
  const write = db.prepare(
    `INSERT INTO records (key, revision, value, by, at, open) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, value = excluded.value,
       by = excluded.by, at = excluded.at, open = excluded.open`,
  );
  let failed: WriterAnswer | undefined;

  port.on('message', (request: WriterRequest) => {
    if (request === 'close') {
      // Closing alone does not: the whole store in one file, which can be copied.
      if (!failed) db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      db.close();
      port.close();
      return;
    }
    failed ??= commitBatch(request);
    port.postMessage(failed ?? ({ outcome: 'committed' } satisfies WriterAnswer));
  });
  port.postMessage({ outcome: 'ready' } satisfies WriterAnswer);

  function commitBatch(cells: (string | number | null)[]): WriterAnswer | undefined {
    try {
      begin.run();
      for (let i = 0; i < cells.length; i += CELLS) {
        const [key, revision, value, by, at, open] = cells.slice(i, i + CELLS);
        if (revision === 0) remove.run(key);
        else if (revision === 1 || rewrite.run(revision, value, key, by, at, open).changes === 0)
          write.run(key, revision, value, by, at, open);
      }
      commit.run();
      return undefined;
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK');
      return { outcome: 'failed', ...described(error) };
    }
  }
}
