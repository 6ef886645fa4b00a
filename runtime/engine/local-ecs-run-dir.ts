import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createWhole, readWhole, writeWhole } from '../../agent/supervisor-files.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import {
  type ExitRecord,
  exitRecord,
  type RunMarker,
  type RunSpec,
  runMarker,
  type SupervisorRecord,
  supervisorRecord,
} from '../../schemas/supervised-run.ts';

/** The directory of one run as Baton sees it: what its supervisor wrote there, read afresh at every call. */
export interface RunDir {
  readonly path: string;
  /** Makes the directory and writes what to run. Throws what the file system says. */
  prepare(spec: RunSpec): void;
  /** Who may start the runner; undefined while nobody took it. */
  marker(): RunMarker | undefined;
  /** Takes the marker so that no supervisor ever starts the runner. False if one was faster. */
  abandon(reason: string): boolean;
  /** Written when the runner had started. */
  started(): SupervisorRecord | undefined;
  /** Written when the run had ended and nothing of it was left. */
  exit(): ExitRecord | undefined;
  file(name: (typeof RUN_FILES)[keyof typeof RUN_FILES]): string;
}

export function runDir(path: string): RunDir {
  const file: RunDir['file'] = (name) => join(path, name);
  return {
    path,
    prepare(spec) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      writeWhole(file(RUN_FILES.spec), spec);
    },
    marker: () => runMarker.safeParse(readWhole(file(RUN_FILES.marker))).data,
    abandon(reason) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return createWhole(file(RUN_FILES.marker), { abandoned: reason } satisfies RunMarker);
    },
    started: () => supervisorRecord.safeParse(readWhole(file(RUN_FILES.supervisor))).data,
    exit: () => exitRecord.safeParse(readWhole(file(RUN_FILES.exit))).data,
    file,
  };
}
