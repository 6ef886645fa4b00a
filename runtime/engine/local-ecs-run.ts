import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import type { StartEcsRun, StartRun } from '../ports.ts';

/** AWS: `overrides` with its JSON punctuation, in characters. */
const OVERRIDES_MAX_CHARS = 8_192;

/** What the embedded ECS is asked to start. */
export interface LocalRun extends StartEcsRun {
  /** The task gets its own tags only, not those of its definition. */
  readonly propagateTags?: 'NONE';
  /** The family whose newest definition was asked for: its token was used with that, whichever is the newest when it comes again. */
  readonly family?: string;
}

/** Versions without task definitions left no more than what every back end is asked. */
export type StoredRun = StartRun & Partial<LocalRun>;

/** What AWS would refuse about these parameters; undefined if nothing. */
export function whyInvalid(run: StartRun): string | undefined {
  if (!/^[\x21-\x7e]{1,64}$/.test(run.clientToken)) return 'clientToken: 1 to 64 printable ASCII characters';
  if (!/^[A-Za-z0-9\-_/]{1,128}$/.test(run.startedBy)) return 'startedBy: 1 to 128 letters, digits, "-", "_" and "/"';
  if (Object.keys(run.environment).some((name) => !/^[^=\0]+$/.test(name)))
    return 'environment: a name is empty or has "="';
  const texts = [...Object.values(run.environment), ...run.command];
  if (texts.some((text) => text.includes('\0'))) return 'environment and command: no zero bytes';
  const size = JSON.stringify(overridesOf(run)).length;
  return size > OVERRIDES_MAX_CHARS ? `overrides: ${size} characters, at most ${OVERRIDES_MAX_CHARS}` : undefined;
}

/** Same parameters, whatever the order of their keys. */
export const isSameRun = (one: StoredRun, other: StoredRun): boolean => canonical(one) === canonical(other);

function canonical(run: StoredRun): string {
  const {
    taskId,
    attempt,
    startedBy,
    clientToken,
    definition,
    family,
    capacityProvider,
    propagateTags,
    tags = {},
  } = run;
  const labels = Object.entries(tags).sort(([one], [other]) => (one < other ? -1 : 1));
  const capacity = [family ?? definition, capacityProvider, propagateTags, labels];
  return JSON.stringify([taskId, attempt, startedBy, clientToken, overridesOf(run), capacity]);
}

/** Byte-stable: names in order, empty parts left out. */
export function overridesOf(run: StartRun) {
  const names = Object.keys(run.environment).sort();
  const environment = names.map((name) => ({ name, value: run.environment[name] ?? '' }));
  const command = run.command.length > 0 ? { command: [...run.command] } : {};
  return { containerOverrides: [{ name: AGENT_CONTAINER, ...command, environment }] };
}
