import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { taskAdmitted } from '../../../events/task-admitted.ts';
import { taskRequested } from '../../../events/task-requested.ts';
import { alarmEvent } from '../../../runtime/alarm-event.ts';
import { ARCHIVE_RETENTION_D, type Archive, SLICE_EVENTS_MAX } from '../../../runtime/engine/archive.ts';
import { type FileArchive, fileArchive } from '../../../runtime/engine/file-archive.ts';
import { memoryArchive } from '../../../runtime/engine/memory-archive.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import { anEvent } from '../../builders.ts';

const NOW_MS = Date.parse('2026-11-21T16:45:30.000Z');
const DAY_MS = 86_400_000;
const ALL = [0, Number.MAX_SAFE_INTEGER] as const;

let dir: string;
let nowMs = NOW_MS;
const warnings: string[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-archive-'));
  nowMs = NOW_MS;
  warnings.length = 0;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const open = (): FileArchive => fileArchive({ dir, nowMs: () => nowMs, warn: (message) => warnings.push(message) });

let made = 0;
const at = (time: string): Envelope => ({ ...anEvent(taskAdmitted.of({ slotKey: 'k' })), id: `e${++made}`, time });

async function read(archive: Archive, fromMs: number = ALL[0], toMs: number = ALL[1]) {
  const slices: { minute: string; ids: string[] }[] = [];
  for await (const { minute, events } of archive.slices(fromMs, toMs))
    slices.push({ minute, ids: events.map(({ id }) => id) });
  return slices;
}

describe.each([
  ['in files', open],
  ['in memory', () => memoryArchive(() => nowMs)],
])('an archive %s', (_where, opened) => {
  it('gives events back minute by minute, whenever they came', async () => {
    const archive = opened();
    const [late, early, middle] = [
      at('2026-11-21T16:45:10.000Z'),
      at('2026-11-21T09:00:00.000Z'),
      at('2026-11-21T16:44:59Z'),
    ];
    for (const event of [late, early, middle]) archive.append(event);
    expect(await read(archive)).toEqual([
      { minute: '2026-11-21T09:00', ids: [early.id] },
      { minute: '2026-11-21T16:44', ids: [middle.id] },
      { minute: '2026-11-21T16:45', ids: [late.id] },
    ]);
    archive.close();
  });

  it('gives what is of the time asked for: the first moment belongs to it, the last does not', async () => {
    const archive = opened();
    const [before, first, inside, after] = ['16:44:59.999', '16:45:00.000', '16:45:59.999', '16:46:00.000'].map(
      (time) => at(`2026-11-21T${time}Z`),
    ) as [Envelope, Envelope, Envelope, Envelope];
    for (const event of [before, first, inside, after]) archive.append(event);
    const [slice, ...more] = await read(archive, Date.parse(first.time), Date.parse(after.time));
    expect([slice?.ids, more]).toEqual([[first.id, inside.id], []]);
    archive.close();
  });

  it('keeps native events, and neither prompts, wake-ups, nor what a replay brought', async () => {
    const archive = opened();
    const fact = at('2026-11-21T16:45:10.000Z');
    const native = { ...fact, id: 'native', source: 'aws.ecs', 'detail-type': 'ECS Task State Change', detail: {} };
    const never = [
      { ...fact, 'detail-type': taskRequested.type, source: 'baton.request' },
      { ...fact, 'detail-type': taskRequested.type, source: 'baton.request.ada' },
      alarmEvent('t1', fact.time),
      { ...fact, 'replay-name': 'friday' },
      anEvent(taskAdmitted.of({ slotKey: 'k' }), { replayOf: 'friday' }),
    ];
    for (const event of [fact, native, ...never]) archive.append(event);
    expect((await read(archive)).flatMap(({ ids }) => ids)).toEqual([fact.id, 'native']);
    archive.close();
  });

  it('gives a busy minute in several slices, so that none outgrows memory', async () => {
    const archive = opened();
    for (let count = 0; count < SLICE_EVENTS_MAX + 1; count++) archive.append(at('2026-11-21T16:45:10.000Z'));
    expect((await read(archive)).map(({ ids }) => ids.length)).toEqual([SLICE_EVENTS_MAX, 1]);
    archive.close();
  });
});

describe('an archive in files', () => {
  const file = (): string => join(dir, '2026-11-21', '16-45.ndjson');

  it('is for its owner alone', async () => {
    const archive = open();
    archive.append(at('2026-11-21T16:45:10.000Z'));
    archive.close();
    expect([statSync(join(dir, '2026-11-21')), statSync(file())].map(({ mode }) => (mode & 0o777).toString(8))).toEqual(
      ['700', '600'],
    );
  });

  it('has written an event when it is told of it: nobody closes an archive after `kill -9`', () => {
    const archive = open();
    archive.append(at('2026-11-21T16:45:10.000Z'));
    expect(readFileSync(file(), 'utf8').endsWith('}\n')).toBe(true);
    archive.close();
  });

  it('passes over a line that was not written whole, and begins the next one on its own', async () => {
    const first = open();
    const before = at('2026-11-21T16:45:10.000Z');
    first.append(before);
    first.close();
    appendFileSync(file(), '{"version":"0","id":"torn');
    const second = open();
    const after = at('2026-11-21T16:45:20.000Z');
    second.append(after);
    expect(await read(second)).toEqual([{ minute: '2026-11-21T16:45', ids: [before.id, after.id] }]);
    second.close();
  });

  it('begins the next event on its own line when the disk was full in the middle of one', async () => {
    let room = Number.POSITIVE_INFINITY;
    const archive = fileArchive({
      dir,
      nowMs: () => nowMs,
      warn: (message) => warnings.push(message),
      writeTo(descriptor, bytes) {
        const taken = Math.min(room, bytes.length);
        if (taken === 0) throw new Error('ENOSPC');
        room -= taken;
        return writeSync(descriptor, bytes, 0, taken);
      },
    });
    const [before, torn, after] = [10, 20, 30].map((second) => at(`2026-11-21T16:45:${second}.000Z`)) as [
      Envelope,
      Envelope,
      Envelope,
    ];
    archive.append(before);
    room = 40;
    archive.append(torn);
    room = Number.POSITIVE_INFINITY;
    archive.append(after);
    expect(await read(archive)).toEqual([{ minute: '2026-11-21T16:45', ids: [before.id, after.id] }]);
    expect(warnings).toHaveLength(1);
    archive.close();
  });

  it('gives up what a crash took back, keeps it aside for people, and goes on in the same file', async () => {
    const first = open();
    const [kept, lost, late] = ['16:44:59', '16:45:10', '16:45:20'].map((time) => at(`2026-11-21T${time}.000Z`)) as [
      Envelope,
      Envelope,
      Envelope,
    ];
    for (const event of [kept, lost, late]) first.append(event);
    first.close();
    appendFileSync(file(), '{"version":"0","id":"torn');
    const second = open();
    expect(await second.takeBack(async ({ id }) => id === lost.id)).toBe(1);
    const next = at('2026-11-21T16:45:30.000Z');
    second.append(next);
    expect((await read(second)).map(({ ids }) => ids)).toEqual([[kept.id], [late.id, next.id]]);
    expect(JSON.parse(readFileSync(file().replace('.ndjson', '.taken'), 'utf8'))).toEqual(lost);
    expect(readdirSync(join(dir, '2026-11-21')).sort()).toEqual(['16-44.ndjson', '16-45.ndjson', '16-45.taken']);
    expect((statSync(file()).mode & 0o777).toString(8)).toBe('600');
    second.close();
  });

  it('looks through what was written last alone, whatever minute that is of', async () => {
    const first = open();
    for (let minute = 10; minute < 30; minute++) first.append(at(`2026-11-21T16:${minute}:00.000Z`));
    first.close();
    const seen: string[] = [];
    const second = open();
    const look = async ({ time }: Envelope) => seen.push(time.slice(14, 16)) < 0;
    await second.takeBack(look);
    expect(seen.length).toBe(8);
    for (let minute = 10; minute < 30; minute++)
      utimesSync(join(dir, '2026-11-21', `16-${minute}.ndjson`), minute * 60, minute === 12 ? 1e6 : minute * 60);
    seen.length = 0;
    await second.takeBack(look);
    expect(seen).toEqual(['12']);
    second.close();
  });

  it('that cannot be looked through says so, and the world opens', async () => {
    mkdirSync(file(), { recursive: true });
    const archive = open();
    expect(await archive.takeBack(async () => true)).toBe(0);
    expect(warnings).toEqual([expect.stringContaining('may tell of steps')]);
    archive.close();
  });

  it('begins the next event on its own line when the disk was full in the middle of one', async () => {
    let room = Number.POSITIVE_INFINITY;
    const archive = fileArchive({
      dir,
      nowMs: () => nowMs,
      warn: (message) => warnings.push(message),
      writeTo(descriptor, bytes) {
        const taken = Math.min(room, bytes.length);
        if (taken === 0) throw new Error('ENOSPC');
        room -= taken;
        return writeSync(descriptor, bytes, 0, taken);
      },
    });
    const [before, torn, after] = [10, 20, 30].map((second) => at(`2026-11-21T16:45:${second}.000Z`)) as [
      Envelope,
      Envelope,
      Envelope,
    ];
    archive.append(before);
    room = 40;
    archive.append(torn);
    room = Number.POSITIVE_INFINITY;
    archive.append(after);
    expect(await read(archive)).toEqual([{ minute: '2026-11-21T16:45', ids: [before.id, after.id] }]);
    expect(warnings).toHaveLength(1);
    archive.close();
  });

  it('gives up what a crash took back, keeps it aside for people, and goes on in the same file', async () => {
    const first = open();
    const [kept, lost, late] = ['16:44:59', '16:45:10', '16:45:20'].map((time) => at(`2026-11-21T${time}.000Z`)) as [
      Envelope,
      Envelope,
      Envelope,
    ];
    for (const event of [kept, lost, late]) first.append(event);
    first.close();
    appendFileSync(file(), '{"version":"0","id":"torn');
    const second = open();
    expect(await second.takeBack(async ({ id }) => id === lost.id)).toBe(1);
    const next = at('2026-11-21T16:45:30.000Z');
    second.append(next);
    expect((await read(second)).map(({ ids }) => ids)).toEqual([[kept.id], [late.id, next.id]]);
    expect(JSON.parse(readFileSync(file().replace('.ndjson', '.taken'), 'utf8'))).toEqual(lost);
    expect(readdirSync(join(dir, '2026-11-21')).sort()).toEqual(['16-44.ndjson', '16-45.ndjson', '16-45.taken']);
    expect((statSync(file()).mode & 0o777).toString(8)).toBe('600');
    second.close();
  });

  it('looks through what was written last alone, whatever minute that is of', async () => {
    const first = open();
    for (let minute = 10; minute < 30; minute++) first.append(at(`2026-11-21T16:${minute}:00.000Z`));
    first.close();
    const seen: string[] = [];
    const second = open();
    const look = async ({ time }: Envelope) => seen.push(time.slice(14, 16)) < 0;
    await second.takeBack(look);
    expect(seen.length).toBe(8);
    for (let minute = 10; minute < 30; minute++)
      utimesSync(join(dir, '2026-11-21', `16-${minute}.ndjson`), minute * 60, minute === 12 ? 1e6 : minute * 60);
    seen.length = 0;
    await second.takeBack(look);
    expect(seen).toEqual(['12']);
    second.close();
  });

  it('that cannot be looked through says so, and the world opens', async () => {
    mkdirSync(file(), { recursive: true });
    const archive = open();
    expect(await archive.takeBack(async () => true)).toBe(0);
    expect(warnings).toEqual([expect.stringContaining('may tell of steps')]);
    archive.close();
  });

  it('that cannot be read fails who reads it, and nobody else', async () => {
    const archive = open();
    mkdirSync(file(), { recursive: true });
    await expect(read(archive)).rejects.toThrow(/EISDIR/);
    archive.close();
  });

  it('forgets days past its retention, and shows nothing older meanwhile', async () => {
    const archive = open();
    const old = at('2026-11-21T16:45:10.000Z');
    archive.append(old);
    await read(archive);
    nowMs = NOW_MS + ARCHIVE_RETENTION_D * DAY_MS + 60_000;
    expect(await read(archive)).toEqual([]);
    nowMs += DAY_MS;
    const young = at(new Date(nowMs).toISOString());
    archive.append(young);
    expect((await read(archive)).flatMap(({ ids }) => ids)).toEqual([young.id]);
    expect(readdirSync(dir)).toEqual([young.time.slice(0, 10)]);
    archive.close();
  });

  it('tells once that it cannot be written, and loses no event of the bus by it', async () => {
    writeFileSync(join(dir, '2026-11-21'), 'no folder');
    const archive = open();
    for (let count = 0; count < 3; count++) {
      archive.append(at('2026-11-21T16:45:10.000Z'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(warnings).toEqual([expect.stringContaining('does not keep the events of 2026-11-21T16:45')]);
    archive.close();
  });
});
