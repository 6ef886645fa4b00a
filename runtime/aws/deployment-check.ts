import { BatonError } from '../errors.ts';

/** One thing that must be so; `look` resolves with what was seen, and rejects with a BatonError that says what to do. */
export interface DeploymentCheck {
  readonly name: string;
  look(): Promise<string>;
}

export const notReady = (what: string, remedy: string, cause?: unknown): BatonError =>
  new BatonError('service_refused', what, { cause, remedy });
