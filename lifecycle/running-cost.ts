import type { RunningCost } from '../events/run-orphaned.ts';
import { SESSION_LIFETIME_S } from '../schemas/agentcore-session.ts';
import type { Compute } from '../schemas/compute.ts';
import { later } from './evolve.ts';

/** What a run of a back end may cost at most while nobody stops it. */
interface Rate {
  readonly vcpu: number;
  readonly memoryGb: number;
  /** US dollars an hour: list prices of us-east-1, on demand, November 2026, without free tiers and discounts. */
  readonly usdPerVcpuHour: number;
  readonly usdPerGbHour: number;
  /** After how many seconds the back end ends a run by itself; without it, never. */
  readonly endsAfterSeconds?: number;
}

/**
 * AgentCore: what a session of platform version 2 may use; prices as a guide of September 2026 quotes them from the price page. It bills
 * what is used, so a session that idles costs less. ECS: the base task definition on Fargate, arm64; prices as public guides quote them.
 * Nothing of this was ever billed here.
 */
export const rates: { readonly [Name in Compute]: Rate } = {
  agentcore: {
    vcpu: 2,
    memoryGb: 8,
    usdPerVcpuHour: 0.1276,
    usdPerGbHour: 0.0169,
    endsAfterSeconds: SESSION_LIFETIME_S,
  },
  ecs: { vcpu: 2, memoryGb: 4, usdPerVcpuHour: 0.03238, usdPerGbHour: 0.00356 },
};

/** What a run costs while it goes on, begun at `since` if that is known. */
export function runningCostOf(compute: Compute, since: string | undefined): RunningCost {
  const { endsAfterSeconds } = rates[compute];
  return {
    usdPerHour: perHour(rates[compute]),
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

/** Cents and tenths of them: list prices are not worth more digits. */
const perHour = ({ vcpu, memoryGb, usdPerVcpuHour, usdPerGbHour }: Rate): number =>
  Math.round((vcpu * usdPerVcpuHour + memoryGb * usdPerGbHour) * 1_000) / 1_000;
