import { describe, expect, it } from '@jest/globals';
import { BatonError, ComputeError, type ErrorCode, errorCodes, retryOf } from '../../runtime/errors.ts';

const codes = Object.keys(errorCodes) as ErrorCode[];

describe('every error code', () => {
  it.each(codes)('%s says when to try again and what a person does next', (code) => {
    expect(['soon', 'later', 'never']).toContain(errorCodes[code].retry);
    expect(errorCodes[code].remedy).toMatch(/^[A-Z].*\.$/);
  });
});

describe('an error', () => {
  it('carries code, retry, remedy and cause', () => {
    const cause = new Error('socket closed');
    const error = new ComputeError('compute_unavailable', 'ECS did not answer', { cause });
    expect(error).toMatchObject({ code: 'compute_unavailable', retry: 'soon', message: 'ECS did not answer', cause });
    expect(error.remedy).toBe(errorCodes.compute_unavailable.remedy);
    expect(error).toBeInstanceOf(BatonError);
  });

  it('may bring a better remedy', () => {
    expect(new BatonError('bad_input', 'x', { remedy: 'Turn it around.' }).remedy).toBe('Turn it around.');
  });

  it.each([
    [new BatonError('malformed_event', ''), 'never'],
    [new BatonError('contention', ''), 'soon'],
    [new Error('nobody foresaw it'), 'soon'],
    ['a text', 'soon'],
    [undefined, 'soon'],
  ])('%p is tried again: %s', (error, retry) => {
    expect(retryOf(error)).toBe(retry);
  });
});
