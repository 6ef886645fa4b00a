import type { Status } from '../schemas/task.ts';

/** Colours for a terminal; without colour every function gives its text back. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  blue(text: string): string;
  cyan(text: string): string;
}

const style =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001b[${open}m${text}\u001b[${close}m`;
const asItIs = (text: string): string => text;

const colourful: Paint = {
  bold: style(1, 22),
  dim: style(2, 22),
  red: style(31, 39),
  green: style(32, 39),
  yellow: style(33, 39),
  blue: style(34, 39),
  cyan: style(36, 39),
};
export const plain: Paint = {
  bold: asItIs,
  dim: asItIs,
  red: asItIs,
  green: asItIs,
  yellow: asItIs,
  blue: asItIs,
  cyan: asItIs,
};

/** Colour only where a person looks: on a terminal that can, and unless NO_COLOR (https://no-color.org) is set. */
export function paintFor(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Paint {
  const { NO_COLOR = '', TERM = '' } = environment;
  return stream.isTTY === true && NO_COLOR === '' && TERM !== 'dumb' ? colourful : plain;
}

/** A status in the colour of what it means: green is good, red is bad, yellow waits, cyan works. */
export function paintStatus(status: Status, paint: Paint, text: string = status): string {
  switch (status) {
    case 'COMPLETED':
      return paint.bold(paint.green(text));
    case 'FAILED':
    case 'TIMED_OUT':
      return paint.bold(paint.red(text));
    case 'CANCELLED':
    case 'STOPPING':
    case 'BACKOFF':
    case 'QUEUED':
      return paint.yellow(text);
    case 'SUBMITTED':
    case 'ADMITTED':
    case 'HYDRATED':
      return paint.blue(text);
    case 'STARTING':
    case 'RUNNING':
    case 'FINALIZING':
      return paint.cyan(text);
  }
}

/** Text that others wrote (agents, git, repositories) without what would steer the terminal. */
export function shown(text: string): string {
  // Whole escape sequences first, so that their letters do not stay behind.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const withoutSequences = text.replace(/\u001b(\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)?|[@-_])/g, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the same
  return withoutSequences.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
}
