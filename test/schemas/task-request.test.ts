import { describe, expect, it } from '@jest/globals';
import { AGENT_COMMAND_MAX_BYTES, LABELS_MAX, PROMPT_MAX_BYTES, taskRequest } from '../../schemas/task-request.ts';

const request = { repository: '/srv/repository', prompt: 'Mend the roof.' };
const isTaken = (fields: object): boolean => taskRequest.safeParse({ ...request, ...fields }).success;

describe('a request', () => {
  it('needs a repository and a prompt, and nothing else', () => {
    expect(isTaken({})).toBe(true);
    expect(isTaken({ prompt: undefined })).toBe(false);
    expect(isTaken({ repository: undefined })).toBe(false);
  });

  it.each([
    ['the largest prompt, counted in bytes', { prompt: 'ż'.repeat(PROMPT_MAX_BYTES / 2) }, true],
    ['a larger prompt', { prompt: `${'ż'.repeat(PROMPT_MAX_BYTES / 2)}x` }, false],
    ['a prompt of blanks', { prompt: ' \n\t' }, false],
    ['an option for a repository', { repository: '-u' }, false],
    ['an option for a branch', { baseBranch: '--force' }, false],
    ['a known back end', { compute: 'ecs' }, true],
    ['an unknown back end', { compute: 'ECS' }, false],
    ['an unknown field', { promt: 'x' }, false],
    ['an unknown field of origin', { origin: { kind: 'chat', who: 'x' } }, false],
    ['a short time-out', { timeoutSeconds: 1 }, true],
    ['no time at all', { timeoutSeconds: 0 }, false],
    ['half a second', { timeoutSeconds: 0.5 }, false],
    ['more than eight hours', { timeoutSeconds: 8 * 3600 + 1 }, false],
    ['no attempt', { attempts: 0 }, false],
    ['ten attempts', { attempts: 10 }, true],
    ['eleven attempts', { attempts: 11 }, false],
    ['an empty agent command', { agentCommand: '' }, false],
    ['the longest agent command, counted in bytes', { agentCommand: 'ż'.repeat(AGENT_COMMAND_MAX_BYTES / 2) }, true],
    ['a longer agent command', { agentCommand: 'x'.repeat(AGENT_COMMAND_MAX_BYTES + 1) }, false],
    ['labels that are few and huge', { labels: { a: '語'.repeat(256), b: '語'.repeat(256) } }, false],
    ['a password in the address', { repository: 'https://joe:s3cr3t@host/x.git' }, false],
    ['a token in the address', { repository: 'https://ghp_token@host/x.git' }, false],
    ['an SSH address with its user', { repository: 'ssh://git@host/x.git' }, true],
    ['a short SSH address', { repository: 'git@host:x.git' }, true],
    ['a transport that is a command', { repository: 'ext::sh -c id' }, false],
    ['an empty user', { userId: '' }, false],
    ['as many labels as may be', { labels: labels(LABELS_MAX) }, true],
    ['one label more', { labels: labels(LABELS_MAX + 1) }, false],
    ['a label that is no text', { labels: { a: 1 } }, false],
  ])('with %s', (_, fields, taken) => {
    expect(isTaken(fields)).toBe(taken);
  });
});

function labels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`label-${n}`, 'x']));
}
