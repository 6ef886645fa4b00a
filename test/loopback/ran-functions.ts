import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rules } from '../../rules/index.ts';
import { STAGE } from './cloud-assembly.ts';

/**
 * A function that a run needs only where neither its runner nor its record say in time that it lives: seldom here. Its calls are those of the
 * contracts of back ends.
 */
const SELDOM = ['check-run-on-agentcore'];

/** Where worlds on loopback leave a file for each function that ran: in the temporary directory that a whole test run shares. */
const ranDir = (): string => join(tmpdir(), 'ran-on-loopback');

/** Notes that functions ran; for worlds that close. */
export function noteRan(functions: readonly string[]): void {
  mkdirSync(ranDir(), { recursive: true });
  for (const name of functions) writeFileSync(join(ranDir(), name), '');
}

/** Rules whose functions ran in no world on loopback that this test run has closed. */
export const neverRan = (): string[] =>
  rules
    .map(({ name }) => name)
    .filter((name) => !SELDOM.includes(name) && !existsSync(join(ranDir(), `baton-${STAGE}-${name}`)));
