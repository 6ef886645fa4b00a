import { readFileSync } from 'node:fs';
import { BatonError } from './errors.ts';

/** The version of this build, as package.json above its folder says it. */
export function batonVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) return String(manifest.version);
  throw new BatonError('bad_input', 'package.json beside the build says no version');
}
