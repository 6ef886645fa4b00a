import type { Random } from './random.ts';

/** What can go wrong, by name, with what it does. */
export const faults = {
  duplicate: 'Events and requests are delivered more than once.',
  reorder: 'What happens at about the same time happens in any order; events overtake each other.',
  delay: 'Deliveries and calls take long now and then.',
  lose: 'Events of the back end and of runners are lost.',
  crash:
    'A handler dies between any two calls of its ports, or while it publishes; the delivery is tried again or dead-lettered.',
  'world-crash': 'The whole process dies and loses what was not on disk yet; runs live on.',
  'silent-death': 'A run ends without any event; the back end knows of it, or has forgotten it.',
  'late-handle': 'The answer to a start comes late, or never, although the run lives.',
  'duplicate-run': 'One start makes two runs.',
  cancel: 'Tasks are cancelled at any time.',
  'late-alarm': 'Alarms ring late.',
  'twice-alarm': 'Alarms ring twice.',
  'ignores-stop': 'A run does not stop when it is told to: for long, or for ever.',
  'runner-crash': 'A runner dies at any point of its work, or exits with 0 and no report.',
  'failing-start': 'A start is refused, or the container never comes up.',
  'throttled-start': 'A call to the back end is refused for now.',
  'slow-agent': 'The agent works beyond the deadline.',
  'clock-skew': "The runner's clock is wrong.",
  'changed-limit': 'The limit of a slot key changes while tasks run.',
  'unknown-status': 'The back end says a status or a stop code that nobody knows.',
} as const satisfies Record<string, string>;

export type FaultName = keyof typeof faults;

export const faultNames = Object.keys(faults) as readonly FaultName[];

/** `all`, `none`, or names with commas between them; an unknown name is a RangeError that lists the known ones. */
export function faultsNamed(text: string): ReadonlySet<FaultName> {
  if (text === 'all') return new Set(faultNames);
  if (text === 'none') return new Set();
  const named = text.split(',').map((name) => name.trim());
  const unknown = named.filter((name) => !(name in faults));
  if (unknown.length > 0) {
    throw new RangeError(`no fault is named "${unknown.join('", "')}"; there are: all, none, ${faultNames.join(', ')}`);
  }
  return new Set(named as FaultName[]);
}

/** Share of the allowed faults that one seed uses: worlds with few kinds of trouble reach states that all at once never do. */
const SHARE_PER_SEED = 0.6;

/** The faults of one seed: a part of those allowed, or the only one. */
export function drawn(allowed: ReadonlySet<FaultName>, random: Random): ReadonlySet<FaultName> {
  const names = faultNames.filter((name) => allowed.has(name));
  if (names.length < 2) return new Set(names);
  return new Set(names.filter(() => random.chance(SHARE_PER_SEED)));
}
