import { readdirSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ecsTaskStateChange } from '../../events/aws/ecs-task-state-change.ts';
import { eventOf, events } from '../../events/index.ts';
import { rules } from '../../rules/index.ts';
import { anEcsTask } from '../builders.ts';

const folder = new URL('../../events/', import.meta.url);
const kebab = (type: string): string => type.replace(/(?<=.)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
const consumed = new Set(rules.flatMap((rule) => rule.on.map(({ type }) => type)));
const emitted = new Set(rules.flatMap((rule) => rule.emits.map(({ type }) => type)));

describe('every event', () => {
  it('is listed once, and lives in a file of its name', () => {
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
    const about = new Set(['index.ts', 'define.ts', 'run-signal.ts']);
    const named = files.map(({ name }) => name).filter((name) => !about.has(name));
    expect(events.map(({ type }) => `${kebab(type)}.ts`).sort()).toEqual(named.sort());
  });

  it.each(events.map((event) => [event.type, event] as const))(
    '%s says in one sentence what happened',
    (type, event) => {
      expect(event.summary).toMatch(/^[A-Z].*\.$/);
      expect(eventOf(type)).toBe(event);
    },
  );

  it.each(events.map((event) => [event.type, event] as const))('%s has a beginning and an end', (type, event) => {
    expect({ isEmitted: emitted.has(type) || event.edge === 'in' }).toEqual({ isEmitted: true });
    expect({ isConsumed: consumed.has(type) || event.edge === 'out' }).toEqual({ isConsumed: true });
  });

  it.each(events.filter(({ source }) => source === 'baton').map((event) => [event.type, event] as const))(
    '%s drives only if somebody reacts to it',
    (type, event) => {
      if (event.drives) expect(consumed).toContain(type);
    },
  );

  it('of another name is not ours', () => {
    expect(eventOf('TaskExploded')).toBeUndefined();
  });
});

describe('an ECS event', () => {
  it('keeps the fields that we do not know', () => {
    expect(ecsTaskStateChange.schema.parse({ ...anEcsTask(), galaxy: 1 })).toMatchObject({ galaxy: 1 });
  });

  it('may leave out what ECS leaves out', () => {
    const { containers: _c, stopCode: _s, startedBy: _b, ...rest } = anEcsTask();
    expect(ecsTaskStateChange.schema.safeParse(rest).success).toBe(true);
  });

  it.each(['taskArn', 'clusterArn', 'lastStatus', 'desiredStatus', 'version'])('is malformed without %s', (field) => {
    const { [field]: _gone, ...rest } = anEcsTask() as Record<string, unknown>;
    expect(ecsTaskStateChange.schema.safeParse(rest).success).toBe(false);
  });
});
