import { describe, expect, it } from '@jest/globals';
import { nativeIdOf, runHandle } from '../../schemas/run-handle.ts';
import { aHandle, anArn } from '../builders.ts';

// A2
describe('a run handle', () => {
  it('survives a JSON round trip, whole', () => {
    expect(runHandle.parse(JSON.parse(JSON.stringify(aHandle())))).toEqual(aHandle());
  });

  it('names who claims', () => {
    expect(nativeIdOf(aHandle())).toBe(anArn());
  });

  it('of an unknown back end is refused', () => {
    expect(runHandle.safeParse({ ...aHandle(), backend: 'mainframe' }).success).toBe(false);
  });

  it.each(['taskArn', 'clusterArn', 'taskDefinitionArn', 'region'])('without %s is refused', (field) => {
    const { [field]: _gone, ...rest } = aHandle() as Record<string, unknown>;
    expect(runHandle.safeParse(rest).success).toBe(false);
  });
});
