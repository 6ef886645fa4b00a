import type { UserTerms } from '../schemas/task-definition.ts';
import { badInput } from './cli-error.ts';

/**
 * What one user gets, as `--user` takes it and `repo show` prints it: `ada=2048/4096, fs-…/fsap-…, NPM_TOKEN=arn:…`. Each part is known by
 * its form; a name alone gets nothing beside the base. What the parts may be is the schema's business.
 */
export function userFrom(given: string): { readonly userId: string; readonly terms: UserTerms } {
  const [, userId = '', list = ''] = /^([^=]*)=?(.*)$/s.exec(given) ?? [];
  if (userId.trim() === '') throw badUser('it begins with no user');
  // Nothing of a misspelt list may become the name of a user who then gets nothing.
  if (/[\s,/:]/.test(userId.trim()))
    throw badUser('it must begin with a user without space, ",", "/" and ":" (for other names: --users)');
  const terms: { size?: UserTerms['size']; fileSystem?: UserTerms['fileSystem']; secrets?: Record<string, string> } =
    {};
  for (const part of list.split(',').map((text) => text.trim())) {
    if (part === '') continue;
    const [, name, reference] = /^([^=]+)=(.*)$/s.exec(part) ?? [];
    const [, cpu, memory] = /^(\d{1,9})\/(\d{1,9})$/.exec(part) ?? [];
    const [, id, accessPoint] = /^(fs-[^/]*)\/(.*)$/.exec(part) ?? [];
    if (name !== undefined && reference !== undefined) {
      if (Object.hasOwn(terms.secrets ?? {}, name)) throw badUser(`${name} is given twice`);
      terms.secrets = { ...terms.secrets, [name]: reference };
    } else if (cpu !== undefined && memory !== undefined) {
      if (terms.size) throw badUser('two sizes are given');
      terms.size = { cpu: Number(cpu), memory: Number(memory) };
    } else if (id !== undefined && accessPoint !== undefined) {
      if (terms.fileSystem) throw badUser('two file systems are given');
      terms.fileSystem = { id, accessPoint };
    }
    // A part may hold what nobody shall read, so it is not repeated.
    else throw badUser(`of "${userId.trim()}" a part is neither a size, nor a file system, nor a variable`);
  }
  return { userId: userId.trim(), terms };
}

export function userText(userId: string, { size, fileSystem, secrets = {} }: UserTerms): string {
  const parts = [
    ...(size ? [`${size.cpu}/${size.memory}`] : []),
    ...(fileSystem ? [`${fileSystem.id}/${fileSystem.accessPoint}`] : []),
    ...Object.entries(secrets).map(([name, reference]) => `${name}=${reference}`),
  ];
  return parts.length === 0 ? userId : `${userId}=${parts.join(', ')}`;
}

const badUser = (message: string) =>
  badInput(
    '--user',
    message,
    "Write it like --user 'ada=2048/4096, fs-0123abcd/fsap-0123abcd, NPM_TOKEN=arn:aws:secretsmanager:…', or --user ada.",
  );
