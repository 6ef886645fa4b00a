import { describe, it } from '@jest/globals';
import { expectTypeOf } from 'expect-type';
import type { Brings } from '../../lifecycle/move.ts';
import type { ComputeBackend, OutsidePort, Ports } from '../../runtime/ports.ts';
import type { PortsOf } from '../../runtime/react.ts';
import type { AgentcoreHandle } from '../../schemas/agentcore-session.ts';
import type { Compute, offers, signals } from '../../schemas/compute.ts';
import type { EcsHandle, HandleOf, nativeIdOf, RunHandle } from '../../schemas/run-handle.ts';
import type { Task, TaskIn } from '../../schemas/task.ts';
import type { TaskId } from '../../schemas/task-id.ts';

/** Checked by the compiler: what must not compile does not. */
describe('a field of a task', () => {
  it('exists only from the state that brings it', () => {
    expectTypeOf<TaskIn<'QUEUED'>>().not.toHaveProperty('run');
    expectTypeOf<TaskIn<'ADMITTED'>>().not.toHaveProperty('input');
    expectTypeOf<TaskIn<'HYDRATED'>>().toHaveProperty('input');
    expectTypeOf<TaskIn<'STARTING'>['run']>().toEqualTypeOf<TaskIn<'RUNNING'>['run']>();
    expectTypeOf<TaskIn<'RUNNING'>>().not.toHaveProperty('exitCode');
    expectTypeOf<TaskIn<'STOPPING'>>().toHaveProperty('intent');
    expectTypeOf<TaskIn<'COMPLETED'>>().not.toHaveProperty('reason');
    expectTypeOf<TaskIn<'FAILED'>>().toHaveProperty('reason');
  });
});

describe('an id', () => {
  it('of a task is not any text', () => {
    expectTypeOf<string>().not.toExtend<TaskId>();
    expectTypeOf<TaskId>().toExtend<string>();
  });
});

// A22
describe('a back end', () => {
  it('is one union, shared by tasks and handles', () => {
    expectTypeOf<Task['compute']>().toEqualTypeOf<Compute>();
    expectTypeOf<RunHandle['backend']>().toEqualTypeOf<Compute>();
    expectTypeOf<keyof typeof offers>().toEqualTypeOf<Compute>();
    expectTypeOf<keyof typeof signals>().toEqualTypeOf<Compute>();
    expectTypeOf<Compute>().toExtend<OutsidePort>();
  });

  it('that is one more does not compile in any switch over them', () => {
    // @ts-expect-error There is no case for the last one.
    const stopCall = (one: Compute | 'mainframe'): string => {
      switch (one) {
        case 'agentcore':
          return 'StopRuntimeSession';
        case 'ecs':
          return 'StopTask';
      }
    };
    expectTypeOf(stopCall).toBeFunction();
    expectTypeOf<typeof nativeIdOf>().toEqualTypeOf<(handle: RunHandle) => string>();
  });

  it('is given its own handles, and of its own kind', () => {
    expectTypeOf<HandleOf<'agentcore'>>().toEqualTypeOf<AgentcoreHandle>();
    expectTypeOf<HandleOf<'ecs'>>().toEqualTypeOf<EcsHandle>();
    expectTypeOf<Ports['agentcore']>().toExtend<ComputeBackend<never>>();
    expectTypeOf<Ports['ecs']>().toExtend<ComputeBackend<never>>();
  });
});

describe('a transition', () => {
  it('demands what its next state needs', () => {
    expectTypeOf<object>().not.toExtend<Brings['start']>();
    expectTypeOf<object>().not.toExtend<Brings['complete']>();
    expectTypeOf<object>().toExtend<Brings['admit']>();
  });
});

describe('a reaction', () => {
  it('is given the ports that its rule names, and no others', () => {
    expectTypeOf<PortsOf<'tasks'>>().toEqualTypeOf<{ readonly tasks: Ports['tasks'] }>();
    expectTypeOf<PortsOf<'tasks'>>().not.toHaveProperty('ecs');
    expectTypeOf<PortsOf<'bell'>['bell']>().toBeUnknown();
  });
});
