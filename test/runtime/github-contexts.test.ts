import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type GithubContextsOptions, githubContexts } from '../../runtime/github-contexts.ts';
import { CONTEXT_MAX_BYTES } from '../../schemas/context-text.ts';
import { eventually } from '../flows/scene.ts';
import { aComment, anIssue, answering, type GithubStub, githubStub } from '../github-stub.ts';

const ISSUE = 'https://github.com/ada/engine/issues/7';
const PULL = 'https://github.com/ada/engine/pull/7';
const at = '/repos/ada/engine';

const open: GithubStub[] = [];
afterEach(async () => {
  for (const stub of open.splice(0)) await stub.close();
});

async function aGithub(answer: Parameters<typeof githubStub>[0], options: GithubContextsOptions = {}) {
  const stub = await githubStub(answer);
  open.push(stub);
  return { stub, contexts: githubContexts({ url: stub.url, ...options }) };
}

const textOf = async (contexts: ReturnType<typeof githubContexts>, address = ISSUE): Promise<string> => {
  const fetched = await contexts.fetch(address);
  if (fetched.outcome !== 'fetched') throw new Error(fetched.message);
  return fetched.text;
};

describe('an issue', () => {
  it('is its title, who wrote it when, its text, and the comments in their order', async () => {
    const comments = [
      aComment('And into the kitchen.', { created_at: '2026-01-05T00:00:00Z' }),
      aComment('Since when?', { created_at: '2026-01-04T00:00:00Z', user: null }),
      aComment(''),
    ];
    const { contexts } = await aGithub(
      answering({ [`${at}/issues/7`]: anIssue(), [`${at}/issues/7/comments`]: comments }),
    );
    expect(await textOf(contexts)).toBe(
      [
        '# The roof leaks',
        `Issue ${ISSUE}, open, by ada, 2026-01-02T03:04:05Z`,
        'It rains into the attic.',
        '## ghost, 2026-01-04T00:00:00Z\n\nSince when?',
        '## bob, 2026-01-05T00:00:00Z\n\nAnd into the kitchen.',
      ].join('\n\n'),
    );
  });

  it('may have no text and no comments', async () => {
    const { contexts } = await aGithub(answering({ [`${at}/issues/7`]: anIssue({ body: null, user: null }) }));
    expect(await textOf(contexts)).toBe(`# The roof leaks\n\nIssue ${ISSUE}, open, by ghost, 2026-01-02T03:04:05Z`);
  });

  it('with many comments is read page by page', async () => {
    const comments = Array.from({ length: 230 }, (_, n) => aComment(`remark ${n}.`));
    const { contexts, stub } = await aGithub(
      answering({ [`${at}/issues/7`]: anIssue(), [`${at}/issues/7/comments`]: comments }),
    );
    const text = await textOf(contexts);
    expect([...text.matchAll(/remark (\d+)\./g)].map(([, n]) => Number(n))).toEqual(comments.map((_, n) => n));
    expect(stub.calls).toHaveLength(4);
  });

  it('is not read further than it can be handed over', async () => {
    const comments = Array.from({ length: 1_000 }, () => aComment('x'.repeat(60_000)));
    const { contexts, stub } = await aGithub(
      answering({ [`${at}/issues/7`]: anIssue(), [`${at}/issues/7/comments`]: comments }),
    );
    expect((await textOf(contexts)).length).toBeGreaterThan(CONTEXT_MAX_BYTES);
    expect(stub.calls).toHaveLength(2);
  });
});

describe('a pull request', () => {
  it('has the remarks of its reviews among its comments', async () => {
    const { contexts } = await aGithub(
      answering({
        [`${at}/issues/7`]: anIssue({ pull_request: { url: 'u' }, state: 'closed' }),
        [`${at}/issues/7/comments`]: [aComment('Nice.', { created_at: '2026-01-05T00:00:00Z' })],
        [`${at}/pulls/7/reviews`]: [
          { body: 'Not yet.', user: { login: 'eve' }, submitted_at: '2026-01-04T00:00:00Z' },
          { body: '', user: { login: 'eve' }, submitted_at: '2026-01-04T00:00:00Z' },
        ],
        [`${at}/pulls/7/comments`]: [aComment('Too long.', { path: 'roof.ts', created_at: '2026-01-03T00:00:00Z' })],
      }),
    );
    expect(await textOf(contexts, PULL)).toBe(
      [
        '# The roof leaks',
        `Pull request ${PULL}, closed, by ada, 2026-01-02T03:04:05Z`,
        'It rains into the attic.',
        '## bob, 2026-01-03T00:00:00Z, about roof.ts\n\nToo long.',
        '## eve, 2026-01-04T00:00:00Z\n\nNot yet.',
        '## bob, 2026-01-05T00:00:00Z\n\nNice.',
      ].join('\n\n'),
    );
  });

  it('is one even where the address calls it an issue', async () => {
    const { contexts } = await aGithub(
      answering({
        [`${at}/issues/7`]: anIssue({ pull_request: {} }),
        [`${at}/pulls/7/comments`]: [aComment('Too long.')],
      }),
    );
    expect(await textOf(contexts, ISSUE)).toContain('Too long.');
  });
});

describe('who asks', () => {
  it('is a stranger without a token, and says who it is with one', async () => {
    const { contexts, stub } = await aGithub(answering({ [`${at}/issues/7`]: anIssue() }));
    await contexts.fetch(ISSUE);
    expect(stub.calls.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
    const known = githubContexts({ url: stub.url, token: async () => 'hush' });
    await known.fetch(ISSUE);
    expect(stub.calls.at(-1)).toMatchObject({
      authorization: 'Bearer hush',
      userAgent: expect.stringContaining('baton'),
    });
  });

  it('gets the token again, once, when GitHub refuses it', async () => {
    const token = jest.fn(async (again: boolean) => (again ? 'new' : 'old'));
    const { contexts, stub } = await aGithub(
      (call, nth) =>
        call.authorization === 'Bearer old' && nth === 0
          ? { status: 401, body: { message: 'Bad credentials' } }
          : answering({ [`${at}/issues/7`]: anIssue() })(call),
      { token },
    );
    expect(await contexts.fetch(ISSUE)).toMatchObject({ outcome: 'fetched' });
    expect(stub.calls.map(({ authorization }) => authorization).slice(0, 2)).toEqual(['Bearer old', 'Bearer new']);
  });

  it('with a token that GitHub does not take at all learns that', async () => {
    const { contexts, stub } = await aGithub(() => ({ status: 401, body: { message: 'Bad credentials' } }), {
      token: async () => 'hush',
    });
    expect(await contexts.fetch(ISSUE)).toEqual({
      outcome: 'unavailable',
      message: `GitHub answers 401 to ${ISSUE}: it does not take the token.`,
    });
    expect(stub.calls).toHaveLength(2);
  });
});

describe('a text that is not to be had', () => {
  it.each([
    [403, 'the token may not read it'],
    [404, 'it is not there, or the token may not see it'],
    [410, 'it was deleted'],
    [422, 'it refuses the request'],
    [451, 'it is blocked for legal reasons'],
  ])('%i: %s', async (status, meaning) => {
    const { contexts } = await aGithub(() => ({ status, body: { message: 'the canary says no' } }));
    expect(await contexts.fetch(ISSUE)).toEqual({
      outcome: 'unavailable',
      message: `GitHub answers ${status} to ${ISSUE}: ${meaning}.`,
    });
  });

  it('because its address is none', async () => {
    const { contexts, stub } = await aGithub(() => ({}));
    expect(await contexts.fetch('https://example.com/ada/engine/issues/7')).toMatchObject({ outcome: 'unavailable' });
    expect(stub.calls).toEqual([]);
  });
});

describe('a trouble that passes is tried again', () => {
  it.each([
    [429, { 'retry-after': '30' }, 'service_throttled', 'until 20'],
    [403, { 'retry-after': '60' }, 'service_throttled', 'until 20'],
    [403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1767225600' }, 'service_throttled', 'until 20'],
    [429, {}, 'service_throttled', 'until 20'],
    [500, {}, 'service_unavailable', 'answers 500'],
    [503, {}, 'service_unavailable', 'answers 503'],
  ])('%i %j is %s', async (status, headers, code, told) => {
    const { contexts } = await aGithub(() => ({ status, headers, body: { message: 'the canary says later' } }), {
      token: async () => 'hush',
    });
    const error = await contexts.fetch(ISSUE).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, retry: 'soon', message: expect.stringContaining(told) });
    const notBefore = / until (\S+) /.exec(String(error))?.[1];
    expect((error as { notBefore?: string }).notBefore).toBe(notBefore);
    // Lambda writes every property of what a function throws into its log.
    expect(JSON.stringify([error, Object.values(error as object), String(error)])).not.toMatch(/canary|hush/);
  });

  it.each([
    ['nobody answers', 'hang up'],
    ['the answer is no JSON', { body: '{"title": "The ro' }],
    ['the answer is something else', { body: { message: 'hello' } }],
  ] as const)('%s', async (_, answer) => {
    const { contexts } = await aGithub(() => answer);
    await expect(contexts.fetch(ISSUE)).rejects.toMatchObject({ code: 'service_unavailable', retry: 'soon' });
  });

  it.each([
    ['retry-after', () => '30', 29, 31],
    ['x-ratelimit-reset', () => String(Date.now() / 1000 + 120), 118, 121],
    ['x-ratelimit-reset', () => '99999999999', 3_599, 3_601],
    ['x-other', () => '', 59, 61],
  ])('GitHub is left in peace for as long as it says: %s', async (name, value, least, most) => {
    const { contexts, stub } = await aGithub(() => ({ status: 429, headers: { [name]: value() } }));
    const tries = [await contexts.fetch(ISSUE).catch(String), await contexts.fetch(PULL).catch(String)];
    expect(stub.calls).toHaveLength(1);
    const [, told = ''] = / until (\S+) /.exec(String(tries[1])) ?? [];
    const seconds = (Date.parse(told) - Date.now()) / 1000;
    expect(seconds).toBeGreaterThan(least - 1);
    expect(seconds).toBeLessThan(most);
  });

  it.each([
    ['no header at all', {}],
    ['the reset of a limit that is not reached', { 'x-ratelimit-remaining': '4711', 'x-ratelimit-reset': '1' }],
  ])('the secondary limit is told in words alone, and lasts a minute: %s', async (_, headers) => {
    const { contexts, stub } = await aGithub(() => ({
      status: 403,
      headers,
      body: { message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.' },
    }));
    const error = await contexts.fetch(ISSUE).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'service_throttled', notBefore: expect.any(String) });
    const seconds = (Date.parse((error as { notBefore: string }).notBefore) - Date.now()) / 1000;
    expect(seconds).toBeGreaterThan(58);
    expect(seconds).toBeLessThan(61);
    await expect(contexts.fetch(PULL)).rejects.toMatchObject({ code: 'service_throttled' });
    expect(stub.calls).toHaveLength(1);
  });

  it('and is asked again after that', async () => {
    const answer = answering({ [`${at}/issues/7`]: anIssue() });
    const { contexts } = await aGithub((call, nth) =>
      nth === 0 ? { status: 429, headers: { 'retry-after': '1' } } : answer(call),
    );
    await expect(contexts.fetch(ISSUE)).rejects.toMatchObject({ code: 'service_throttled' });
    const fetched = await eventually(() => contexts.fetch(ISSUE).catch(() => undefined), 'GitHub to be asked again');
    expect(fetched).toMatchObject({ outcome: 'fetched' });
  });

  it('GitHub keeps silent', async () => {
    const { contexts } = await aGithub(() => 'wait', { maxSeconds: 0.1 });
    await expect(contexts.fetch(ISSUE)).rejects.toMatchObject({ code: 'service_unavailable', retry: 'soon' });
  });

  it('a world that ends does not wait for an answer', async () => {
    const ending = new AbortController();
    const { contexts } = await aGithub(
      () => {
        ending.abort();
        return 'wait';
      },
      { until: ending.signal },
    );
    await expect(contexts.fetch(ISSUE)).rejects.toMatchObject({ code: 'store_closed', retry: 'soon' });
  });

  it('the token cannot be had', async () => {
    const { contexts } = await aGithub(() => ({}), { token: () => Promise.reject(new Error('no secret')) });
    await expect(contexts.fetch(ISSUE)).rejects.toMatchObject({ retry: 'soon' });
  });
});
