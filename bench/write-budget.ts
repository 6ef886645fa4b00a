// `npm run budget`: records the request budget again and writes docs/budget.json, from which docs/cost.md is generated. A test compares.
import { writeFileSync } from 'node:fs';
import { recordedBudgets } from './budget.ts';

const file = new URL('../docs/budget.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(await recordedBudgets(), null, 2)}\n`);
console.log('wrote docs/budget.json; now `npm run generate` writes docs/cost.md from it');
