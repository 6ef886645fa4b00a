import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { events } from '../../events/index.ts';
import { envelope, metadata } from '../../schemas/envelope.ts';

/** One example of every version that was ever published. Add to it; never change or remove what is there. */
const folder = new URL('../fixtures/events/', import.meta.url);
const files = readdirSync(folder);

const eventIn = (file: string) => envelope.parse(JSON.parse(readFileSync(new URL(file, folder), 'utf8')));

describe('an event of any version that was ever published', () => {
  it.each(files)('still parses: %s', (file) => {
    const event = eventIn(file);
    const definition = events.find(({ type }) => type === event['detail-type']);
    expect(definition?.source).toBe(event.source);
    expect(definition?.schema.parse(event.detail['data'])).toEqual(event.detail['data']);
    if (event.detail['metadata'] !== undefined) metadata.parse(event.detail['metadata']);
  });

  it.each(files.filter((file) => !file.startsWith('TaskRequested.')))(
    'may carry fields from the future: %s',
    (file) => {
      const event = eventIn(file);
      const definition = events.find(({ type }) => type === event['detail-type']);
      const data = event.detail['data'] as object;
      expect(definition?.schema.safeParse({ ...data, fromTheFuture: true }).success).toBe(true);
    },
  );
});

describe('an event that is declared', () => {
  it.each(events.map(({ type, version }) => `${type}.v${version}.json`))(
    'has an example of its version: %s',
    (file) => {
      expect(files).toContain(file);
    },
  );
});
