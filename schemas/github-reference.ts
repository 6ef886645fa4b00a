import * as z from 'zod';

const FORM = /^https:\/\/github\.com\/([A-Za-z0-9-]{1,39})\/([A-Za-z0-9._-]{1,100})\/(issues|pull)\/([1-9][0-9]{0,9})$/;

/** Address of a GitHub issue or pull request, whose title, text and comments are handed to the agent beside the prompt. */
export const githubReference = z
  .string()
  .max(512)
  .regex(FORM, 'is no address of a GitHub issue or pull request, like https://github.com/owner/name/issues/1');

/** The parts of an address that fits the schema; undefined for any other text. */
export function partsOfReference(
  address: string,
): { owner: string; repository: string; kind: 'issues' | 'pull'; number: number } | undefined {
  const [, owner, repository, kind, number] = FORM.exec(address) ?? [];
  if (!owner || !repository || !number) return undefined;
  return { owner, repository, kind: kind === 'pull' ? 'pull' : 'issues', number: Number(number) };
}
