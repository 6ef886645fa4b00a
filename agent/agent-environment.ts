import { USER_FILES_VARIABLE } from '../schemas/task-definition.ts';

/** Names that pass from the runner's environment to the agent and to git. Everything else stays behind. */
const ALLOWED = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TERM',
  'COLORTERM',
  'NO_COLOR',
  'TZ',
  'TMPDIR',
  'SSH_AUTH_SOCK',
  'SSH_AGENT_PID',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'no_proxy',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'GIT_AUTHOR_NAME',
  'GIT_AUTHOR_EMAIL',
  'GIT_COMMITTER_NAME',
  'GIT_COMMITTER_EMAIL',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GIT_SSL_CAINFO',
]);

/** Settings and keys of coding agents themselves; an agent cannot work without its own. */
const ALLOWED_PREFIXES = ['LC_', 'XDG_', 'ANTHROPIC_', 'CLAUDE_', 'OPENAI_', 'CODEX_', 'GEMINI_'];

/** Where an agent finds what is not in its clone. None of it for git. */
export interface AgentFiles {
  readonly prompt: string;
  /** Only where text was fetched for the task. */
  readonly context?: string | undefined;
  /** Where the agent may say for how long a service asked it to wait. */
  readonly retryAfter: string;
  /** Where the user has files of their own, which stay for their next task. */
  readonly user?: string | undefined;
}

/**
 * The environment of the agent and of git commands, by allow-list: no control variable of Baton, no cloud credentials and no
 * address where to fetch some. Git never asks questions and never looks above the clone for another repository.
 */
export function agentEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  workspaceParent: string,
  given: { readonly files?: AgentFiles; readonly variables?: Readonly<Record<string, string>> } = {},
): Record<string, string> {
  const { files, variables } = given;
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && mayPass(name)) passed[name] = value;
  }
  return {
    ...passed,
    ...variables,
    GIT_TERMINAL_PROMPT: '0',
    GIT_CEILING_DIRECTORIES: workspaceParent,
    ...(files === undefined ? {} : { BATON_PROMPT_FILE: files.prompt, BATON_RETRY_AFTER_FILE: files.retryAfter }),
    ...(files?.context === undefined ? {} : { BATON_CONTEXT_FILE: files.context }),
    ...(files?.user === undefined ? {} : { [USER_FILES_VARIABLE]: files.user }),
  };
}

const mayPass = (name: string): boolean =>
  ALLOWED.has(name) || ALLOWED_PREFIXES.some((prefix) => name.startsWith(prefix));
