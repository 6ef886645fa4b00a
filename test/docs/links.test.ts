import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { programOn } from '../../cli/main.ts';

/** Only asked for its commands and options, so it needs no terminal. */
const program = programOn({} as never);

const root = fileURLToPath(new URL('../..', import.meta.url));

const markdownIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return markdownIn(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });

const pages = ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', ...markdownIn('docs')];

describe('a page of the documentation', () => {
  it.each(pages)('leads nowhere wrong: %s', (page) => {
    expect(linksOf(page).filter((link) => !leadsSomewhere(page, link))).toEqual([]);
  });

  it.each(pages)('names commands and options that exist: %s', (page) => {
    const text = readFileSync(join(root, page), 'utf8');
    const wrong = [...text.matchAll(/bin\/baton ([a-z]+)(?: ([a-z]+))?([^`\n]*)/g)].filter(
      ([, name, part, words = '']) => {
        const whole = program.commands.find((one) => one.name() === name);
        const isGroup = (whole?.commands.length ?? 0) > 0;
        const command = isGroup ? whole?.commands.find((one) => one.name() === part) : whole;
        const options = [...words.matchAll(/ (--[a-z-]+)/g)].map((match) => match[1]);
        return !command || options.some((option) => !command.options.some(({ long }) => long === option));
      },
    );
    expect(wrong.map(([line]) => line)).toEqual([]);
  });

  it('can be found from the index', () => {
    const listed = new Set(linksOf('docs/index.md').map((link) => relative(root, resolve(root, 'docs', link))));
    const missing = markdownIn('docs').filter((page) => page !== 'docs/index.md' && !listed.has(page));
    expect(missing).toEqual([]);
  });
});

function linksOf(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replaceAll(/```[\s\S]*?```/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '').filter((link) => !link.includes('://'));
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? join(root, page) : resolve(root, dirname(page), path);
  if (!existsSync(target)) return false;
  return anchor === undefined || anchorsIn(readFileSync(target, 'utf8')).has(anchor);
}

/** As GitHub makes them: lower case, spaces to dashes, everything else that is no letter, digit, dash or underscore dropped. */
const anchorsIn = (text: string): Set<string> =>
  new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
      (match[1] ?? '')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
