import { App, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { rules as allRules } from '../rules/index.ts';
import type { Rule } from '../rules/rule.ts';
import { STAGE_TAG } from '../schemas/fleet-names.ts';
import { AlarmsStack } from './alarms-stack.ts';
import { ChoreographyStack } from './choreography-stack.ts';
import { namesOf } from './names.ts';
import { settingsFrom } from './settings.ts';
import { StateStack } from './state-stack.ts';

export interface BatonAppOptions {
  /** Settings by name. What the command line of the CDK passes on comes before them. */
  readonly context?: Readonly<Record<string, string>>;
  /** Where the templates go. */
  readonly outdir: string;
  /** Directory with one bundle per rule: `<rule>/index.mjs`. */
  readonly bundles: string;
  readonly rules?: readonly Rule[];
  /** Whether synthesis ends with the checks of cdk-nag and of the CDK; they take seconds. */
  readonly checked?: boolean;
}

/** What keeps the templates plain: no metadata resource, and the checks of the CDK as errors. */
const FLAGS = { '@aws-cdk/core:validateAgainstDefaultRules': true };

/** The deployment as a CDK app, in no particular account or region: `synth()` writes it, offline. Throws when the settings cannot be deployed. */
export function batonApp({ context = {}, outdir, bundles, rules = allRules, checked = true }: BatonAppOptions): App {
  const app = new App({ context: { ...FLAGS, ...context }, outdir, analyticsReporting: false });
  const settings = settingsFrom(app.node.getAllContext());
  const names = namesOf(settings.stage);
  if (checked) Validations.of(app).addPlugins(new AwsSolutionsChecks(app));

  const state = new StateStack(app, names.stateStack, {
    settings,
    names,
    description: `Baton, stage ${settings.stage}: what survives every deployment.`,
  });
  const choreography = new ChoreographyStack(app, names.choreographyStack, {
    settings,
    names,
    state,
    rules,
    bundles,
    description: `Baton, stage ${settings.stage}: who reacts to what.`,
  });
  const alarms = new AlarmsStack(app, names.alarmsStack, {
    settings,
    names,
    rules,
    description: `Baton, stage ${settings.stage}: what rings when a reaction fails.`,
  });
  // What they watch is there before them, and goes after them.
  alarms.addDependency(choreography);
  Tags.of(app).add(STAGE_TAG, settings.stage);
  return app;
}
