import type { Screening } from '../../ports.ts';
import { bedrockScreening } from '../bedrock-screening.ts';
import { bedrockRuntime } from '../clients/bedrock-runtime.ts';
import type { EnvironmentOf } from '../environment.ts';

/** Screening by the guardrail of the deployment. */
export const open = (environment: EnvironmentOf<'screening'>): Screening =>
  bedrockScreening({
    client: bedrockRuntime(),
    guardrail: { id: environment.BATON_GUARDRAIL_ID, version: environment.BATON_GUARDRAIL_VERSION },
  });
