import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Rooms that every back end goes through, without the folders of one world's own parts. */
const SHARED_ROOMS = ['events', 'handlers', 'lifecycle', 'rules', 'runtime', 'schemas'];

/** Files about one back end, by what they are called. */
const OF_ONE = /ecs|ec2|agentcore|fleet|worker|machine|spot|instance|ssm|session|definition|command/;

/** Files that put AWS's own words into ours: native events, and codes that one back end alone can give. */
const TRANSLATIONS = ['lifecycle/causal-tree.ts', 'schemas/reason.ts'];

const BACK_ENDS = /\b(ECS|Fargate|AgentCore|EC2|SSM|Systems Manager)\b/;

/** Strings, templates and comments of a source, whichever begins first. */
const TOKENS = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;

const textsIn = (source: string): string[] => (source.match(TOKENS) ?? []).filter((token) => !token.startsWith('/'));

const namesOne = (source: string): string[] => textsIn(source).filter((text) => BACK_ENDS.test(text));

const shared = SHARED_ROOMS.flatMap((room) =>
  readdirSync(join(root, room))
    .filter((name) => name.endsWith('.ts') && !OF_ONE.test(name))
    .map((name) => `${room}/${name}`),
).filter((file) => !TRANSLATIONS.includes(file));

// B33
describe('what code says that every back end goes through', () => {
  it.each(shared)('names no back end: %s', (file) => {
    expect(namesOne(readFileSync(join(root, file), 'utf8'))).toEqual([]);
  });

  it('would be found, in whatever quotes, and not in a comment', () => {
    const source =
      "log('ECS it is'); say(`started on ${EC2} by AgentCore`); // on Fargate\n/* SSM */ x = \"a 'SSM' b\";";
    expect(namesOne(source)).toEqual(["'ECS it is'", '`started on ${EC2} by AgentCore`', '"a \'SSM\' b"']);
  });

  it('is looked at in the rooms where it is said', () => {
    expect(shared).toEqual(
      expect.arrayContaining(['handlers/accept-task.ts', 'runtime/tasks.ts', 'lifecycle/wake.ts']),
    );
  });
});
