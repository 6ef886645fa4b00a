import type { CommanderError } from 'commander';
import { BatonError } from '../runtime/errors.ts';
import { CLI_EXIT } from './exit-codes.ts';

/** The world answered no: what it said, and the HTTP status it said it with. */
export class WorldRefusal extends Error {
  override readonly name = 'WorldRefusal';
  readonly status: number;
  readonly code: string;
  readonly remedy: string | undefined;

  constructor(status: number, code: string, message: string, remedy: string | undefined) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
  }
}

/** Input that cannot be used: `where` names the option or the argument. */
export const badInput = (where: string, message: string, remedy: string): BatonError =>
  new BatonError('bad_input', `${where}: ${message}`, { remedy });

/** What commander says about words that it does not understand. */
export const badUsage = ({ message }: CommanderError): BatonError =>
  new BatonError('bad_input', message.replace(/^error: /, ''), { remedy: '--help tells what is possible.' });

/** The code that Node gives to an error of the operating system, or of a refused connection below it. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return codeOf(error.cause);
}

/** What went wrong and what to do, each in one line; the stack only for those who ask (`debug`). */
export function errorLines(error: unknown, debug: boolean): string[] {
  const lines = [`baton: ${oneLine(error instanceof Error ? error.message : String(error))}`];
  const remedy = error instanceof BatonError || error instanceof WorldRefusal ? error.remedy : UNEXPECTED;
  if (remedy) lines.push(`       ${oneLine(remedy)}`);
  if (debug && error instanceof Error) lines.push(String(error.stack), ...causes(error));
  return lines;
}

/** The same for programs, one line on standard error: `{ error: { code, message, remedy } }`, the form of the API. */
export function errorJson(error: unknown, debug: boolean): string {
  const known = error instanceof BatonError || error instanceof WorldRefusal;
  return JSON.stringify({
    error: {
      code: known ? error.code : 'unexpected',
      message: error instanceof Error ? error.message : String(error),
      remedy: (known ? error.remedy : undefined) ?? UNEXPECTED,
      ...(debug && error instanceof Error ? { stack: [String(error.stack), ...causes(error)] } : {}),
    },
  });
}

/** What was thrown on purpose is about input or surroundings; anything else is a defect. */
export const exitCodeFor = (error: unknown): number =>
  error instanceof BatonError || error instanceof WorldRefusal ? CLI_EXIT.badInput : CLI_EXIT.internal;

const UNEXPECTED = 'This should not happen: run it again with BATON_DEBUG=1 and report what it prints.';

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, '; ');

function causes(error: Error): string[] {
  const lines: string[] = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) lines.push(`caused by ${cause.stack}`);
  return lines;
}
