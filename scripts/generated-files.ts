import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { events } from '../events/index.ts';
import { states } from '../lifecycle/states.ts';
import { awsTimings, embeddedTimings } from '../lifecycle/timings.ts';
import { transitions } from '../lifecycle/transitions.ts';
import { rules } from '../rules/index.ts';
import { errorCodes } from '../runtime/errors.ts';
import { RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { reasons } from '../schemas/reason.ts';
import type { RecordedBudgets } from './cost-figures.ts';
import { catalogPage } from './generate-catalog.ts';
import { choreographyPage } from './generate-choreography.ts';
import { costPage } from './generate-cost.ts';
import { errorsPage } from './generate-errors.ts';
import { jsonSchemas } from './generate-json-schemas.ts';
import { lifecyclePage } from './generate-lifecycle.ts';
import { withRecordTables } from './generate-records.ts';

/** Folder that holds generated files and nothing else. */
export const SCHEMA_FOLDER = 'schemas/json-schemas';

const RECORDS_PAGE = 'docs/records.md';

/** Every file that is made from the declarations: path in the repository → its text. */
export function generatedFiles(root: string): Record<string, string> {
  const schemas = Object.entries(jsonSchemas(events)).map(([name, text]) => [`${SCHEMA_FOLDER}/${name}`, text]);
  return {
    'docs/catalog.md': catalogPage(events, rules),
    'docs/choreography.md': choreographyPage(rules),
    'docs/cost.md': costPage(JSON.parse(readFileSync(join(root, 'docs/budget.json'), 'utf8')) as RecordedBudgets),
    'docs/errors.md': errorsPage(errorCodes, reasons, RUNNER_EXIT),
    'docs/lifecycle.md': lifecyclePage(states, transitions, {
      aws: { ...awsTimings },
      embedded: { ...embeddedTimings },
    }),
    [RECORDS_PAGE]: withRecordTables(readFileSync(join(root, RECORDS_PAGE), 'utf8')),
    ...Object.fromEntries(schemas),
  };
}
