import { type ControlPlane, Fenced } from './control-plane.ts';

/**
 * The same control plane for a run whose native identity may come back, as that of an AgentCore session does when it is stopped and
 * invoked again: a claim that stands already was made by an earlier container of that name, and what it did is not repeated.
 */
export const soleClaim = (controlPlane: ControlPlane): ControlPlane => ({
  ...controlPlane,
  claim: async (run, patience) => {
    if ((await controlPlane.claim(run, patience)) === 'claimed') return 'claimed';
    throw new Fenced(`Attempt ${run.attempt} of task ${run.taskId} was claimed by an earlier ${run.nativeId}.`);
  },
});
