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
  'lost-answer':
    'A write is made and its answer is lost: the call fails, or is sent again and finds that somebody wrote meanwhile.',
  throttle: 'Store, bus and alarm clock refuse calls, or fail, for a while.',
  'stale-index': 'Listings tell what was some minutes ago.',
  'time-out':
    'A handler is cut off after the time-out of its function; its last call takes effect at once, later, or never.',
  redrive:
    'Deliveries are given up with all their tries; dead letters are redriven minutes or hours later, some twice.',
  replay: 'Parts of the archive are replayed at any time, shuffled.',
  spot: 'Spot capacity is taken back: a warning, SIGTERM, and the end two minutes later, of which nobody may hear.',
  'frozen-runner': 'A machine freezes at any point of its run, for minutes or hours, and thaws with its clock behind.',
  'lying-agent':
    'An agent tells of reports that are not stored and of runs that are not its own, and speaks for others and after the end.',
  'rate-limit': 'The agent meets a rate limit that names when to come back.',
  'agent-retries': 'Tasks ask to be tried again when their agent fails.',
  'silent-agent': 'The agent says nothing; some repositories bound the time to its first word.',
  'no-capacity': 'The back end has no capacity for a start, or takes no more starts just then.',
  deaf: 'No event of the back end arrives at all.',
  'mixed-code':
    'Newer and older code run side by side: records and events have fields that nobody knows, or lack new ones.',
  configuration: 'Repositories are configured, changed and removed while tasks run.',
  guardrail: 'Every text must pass screening, and the guardrail blocks, fails, or is slow.',
  'registry-throttle':
    'Calls about task definitions are refused or denied for now, fail, take minutes, or are made and their answer is lost.',
  'new-base': 'Infrastructure deploys a new base definition at any time, and deregisters the one before.',
  'legacy-family': 'Somebody registers a clone without the marker in the base family; a new base mends it later.',
  'clone-gone': "A user's clone is deregistered behind our back.",
  'changed-users': 'What users get changes, or is taken from them, while their tasks run.',
  'lives-on': 'The back end says that a run has ended which goes on.',
  'session-again':
    'An invocation of a session arrives once more, also after the session was stopped: it is made again.',
  'lost-beats': 'Signs of life of a run do not reach its record for seconds or minutes.',
  'late-command': 'A command reaches its worker after minutes, or not in the time that it has for that.',
  'lost-command':
    'Systems Manager gives up on a command that never reaches its worker, or reaches it all the same; or never hears how it ended.',
  'command-again': 'A command reaches its worker twice.',
  'execution-time-out': 'Systems Manager ends the script of a run at any time; its guard ends the run later.',
  'unclean-host': 'Something of a run cannot be removed from its worker, or cannot be ended there.',
  'host-death': 'The machine of a worker is gone from one moment to the next; EC2 says so, or nobody does.',
  'boot-fails': 'A machine cannot be made ready, and says so, or nothing at all.',
  'scale-in': 'A fleet becomes smaller, or larger, while tasks run.',
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

/** Shares of the allowed faults that a seed may use: worlds with few kinds of trouble reach states that all at once never do. */
const SHARES_PER_SEED = [0.25, 0.45, 0.65] as const;

/** Faults that leave little room for others, and so are in play less often where all are allowed. */
const SELDOM: Partial<Record<FaultName, number>> = {
  deaf: 0.08,
  throttle: 0.25,
  guardrail: 0.3,
  'time-out': 0.3,
  'legacy-family': 0.15,
  'changed-users': 0.3,
};

/** The faults of one seed: a part of those allowed, or the only one. */
export function drawn(allowed: ReadonlySet<FaultName>, random: Random): ReadonlySet<FaultName> {
  const names = faultNames.filter((name) => allowed.has(name));
  if (names.length < 2) return new Set(names);
  const share = random.pick(SHARES_PER_SEED);
  const isAll = names.length === faultNames.length;
  return new Set(names.filter((name) => random.chance(isAll ? Math.min(share, SELDOM[name] ?? 1) : share)));
}
