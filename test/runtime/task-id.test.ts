import { describe, expect, it } from '@jest/globals';
import { requestHash, taskIdFor } from '../../runtime/task-id.ts';
import { taskId } from '../../schemas/task-id.ts';

describe('a task id', () => {
  it('is the same for the same user and key, for ever', () => {
    expect(taskIdFor('ada', { key: 'roof' })).toBe(taskIdFor('ada', { key: 'roof' }));
    // Written down: another way to derive it would make two tasks of one request across a deployment.
    expect(taskIdFor('ada', { key: 'roof' })).toMatchInlineSnapshot(`"tjmd5xq2xpwmzmjkcv885qzrj"`);
  });

  it.each([
    ['another user', taskIdFor('bob', { key: 'roof' })],
    ['another key', taskIdFor('ada', { key: 'door' })],
    ['an envelope of that name', taskIdFor('ada', { eventId: 'roof' })],
    ['a user and key that read alike side by side', taskIdFor('ada\0key', { key: 'roof' })],
  ])('differs for %s', (_, other) => {
    expect(other).not.toBe(taskIdFor('ada', { key: 'roof' }));
  });

  it('fits branches, tags and schedule names', () => {
    for (let n = 0; n < 500; n++) expect(taskId.safeParse(taskIdFor('ada', { eventId: `${n}` })).success).toBe(true);
  });
});

describe('the fingerprint of a request', () => {
  it('does not depend on the order of fields, nor on fields left undefined', () => {
    expect(requestHash({ a: 1, b: { c: 2, d: [3] } })).toBe(requestHash({ b: { d: [3], c: 2 }, a: 1, e: undefined }));
  });

  it.each([[{ a: 2 }], [{ a: '1' }], [{ a: [1] }], [{ b: 1 }], [{}]])('tells { a: 1 } from %j', (other) => {
    expect(requestHash(other)).not.toBe(requestHash({ a: 1 }));
  });

  it('depends on the order of a list', () => {
    expect(requestHash({ a: [1, 2] })).not.toBe(requestHash({ a: [2, 1] }));
  });
});
