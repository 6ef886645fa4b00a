import { describe, it } from '@jest/globals';
import { expectTypeOf } from 'expect-type';
import type { Brings } from '../../lifecycle/move.ts';
import type { Ports } from '../../runtime/ports.ts';
import type { PortsOf } from '../../runtime/react.ts';
import type { Compute } from '../../schemas/compute.ts';
import type { RunHandle } from '../../schemas/run-handle.ts';
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
