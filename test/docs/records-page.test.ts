import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { withRecordTables } from '../../scripts/generate-records.ts';
import { sourcesOf } from './declarations.ts';

const page = readFileSync(new URL('../../docs/records.md', import.meta.url), 'utf8');
const sources = sourcesOf(['runtime', 'schemas']);

/** Records whose shape is a type of the engine and no schema. */
const ENGINE_RECORDS = [
  ['EVENT', 'runtime/engine/event-bus.ts', 'Row'],
  ['DEAD', 'runtime/engine/event-bus.ts', 'DeadLetter'],
  ['JOURNAL', 'runtime/engine/journal.ts', 'TaskJournal'],
  ['ECSTASK', 'runtime/engine/local-ecs-task.ts', 'EcsTaskRecord'],
  ['SESSION', 'runtime/engine/local-agentcore-session.ts', 'SessionRecord'],
  ['EC2INSTANCE', 'runtime/engine/local-fleet-records.ts', 'InstanceRecord'],
  ['SSMCOMMAND', 'runtime/engine/local-fleet-records.ts', 'CommandRecord'],
] as const;

describe('the records page', () => {
  it('has the fields of the schemas (npm run generate)', () => {
    expect(withRecordTables(page)).toBe(page);
  });

  it('must have a place for every table of fields', () => {
    expect(() => withRecordTables('# Records')).toThrow('docs/records.md has no place');
  });

  it('names every key that the runtime writes', () => {
    const written = new Set(
      Object.entries(sources)
        .filter(([path]) => !path.startsWith('runtime/simulation/'))
        .flatMap(([, source]) =>
          [...source.matchAll(/'([A-Z][A-Z0-9]{2,})#'|=> `([A-Z][A-Z0-9]{2,})#/g)].map(
            (match) => match[1] ?? match[2] ?? '',
          ),
        ),
    );
    expect([...written]).toEqual(expect.arrayContaining(['TASK', 'RUN']));
    expect([...written].filter((prefix) => !page.includes(`| \`${prefix}#`))).toEqual([]);
  });

  it.each(ENGINE_RECORDS)('names the fields of %s', (record, file, type) => {
    const section = page.split(`### ${record}\n`)[1]?.split('\n#')[0] ?? '';
    const fields = fieldsOf(sources[file] ?? '', type);
    expect(fields.length).toBeGreaterThan(0);
    expect(fields.filter((field) => !new RegExp(`\\b${field}\\b`).test(section))).toEqual([]);
  });
});

/** Names of the fields of an interface, from its source. */
function fieldsOf(source: string, type: string): string[] {
  const body = new RegExp(`interface ${type} \\{\\n([\\s\\S]*?)\\n\\}`).exec(source)?.[1] ?? '';
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1] ?? '');
}
