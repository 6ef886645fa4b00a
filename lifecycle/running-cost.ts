import type { RunningCost } from '../events/run-orphaned.ts';
import { SESSION_LIFETIME_S } from '../schemas/agentcore-session.ts';
import type { Compute } from '../schemas/compute.ts';
import { later } from './evolve.ts';

/** What a run of a back end may cost at most while nobody stops it. */
interface Rate {
  readonly vcpu: number;
  readonly memoryGb: number;
  /** US dollars: list prices of us-east-1, on demand, November 2026, without free tiers and discounts. */
  readonly usdPerHour: number;
  /** The same while nothing works in it, where that is less. */
  readonly idleUsdPerHour?: number;
  /** After how many seconds the back end ends a run by itself; without it, never. */
  readonly endsAfterSeconds?: number;
}

/** Of what is billed by size. Cents and tenths of them: list prices are not worth more digits. */
const metered = (vcpu: number, memoryGb: number, usdPerVcpuHour: number, usdPerGbHour: number): Rate => ({
  vcpu,
  memoryGb,
  usdPerHour: Math.round((vcpu * usdPerVcpuHour + memoryGb * usdPerGbHour) * 1_000) / 1_000,
});

/**
 * AgentCore: what a session of platform version 2 may use; prices as a guide of September 2026 quotes them from the price page. It bills
 * what is used, so a session that idles costs less. ECS: the base task definition on Fargate, arm64; prices as public guides quote them.
 * EC2: the instance type a fleet has by default, m7g.xlarge, without its volume; it costs the same with a run and without one. Nothing of
 * this was ever billed here.
 */
export const rates: { readonly [Name in Compute]: Rate } = {
  agentcore: {
    ...metered(2, 8, 0.1276, 0.0169),
    // What is allocated is billed, and what computes.
    idleUsdPerHour: metered(0, 8, 0, 0.0169).usdPerHour,
    endsAfterSeconds: SESSION_LIFETIME_S,
  },
  ecs: metered(2, 4, 0.03238, 0.00356),
  ec2: { vcpu: 4, memoryGb: 16, usdPerHour: 0.163 },
};

/** What a run costs while it goes on, begun at `since` if that is known. */
export function runningCostOf(compute: Compute, since: string | undefined): RunningCost {
  const { usdPerHour, endsAfterSeconds } = rates[compute];
  return {
    usdPerHour,
    ...(since === undefined ? {} : { since }),
    ...(since === undefined || endsAfterSeconds === undefined ? {} : { endsBy: later(since, endsAfterSeconds) }),
  };
}

/** The same for people. What it says of AWS holds for AWS: on one machine a run costs what the machine does. */
export function runningCostSentence(compute: Compute, { usdPerHour: usd, endsBy }: RunningCost): string {
  const { vcpu, memoryGb, endsAfterSeconds } = rates[compute];
  const costs = `On AWS that is up to $${usd.toFixed(2)} an hour by list price (${vcpu} vCPU, ${memoryGb} GB)`;
  if (endsAfterSeconds === undefined) return `${costs}, for as long as nobody stops it.`;
  const by = endsBy === undefined ? '' : `, by ${endsBy}`;
  return `${costs}, until its back end ends it by itself ${endsAfterSeconds / 3_600} hours after its start${by}.`;
}
