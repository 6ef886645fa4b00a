import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { DEFAULT_AGENT_COMMAND } from '../schemas/task-request.ts';

/** Commands of the shell itself, which no file on PATH stands for. */
const SHELL_WORDS = new Set(
  '. : alias break case cd command continue do eval exec exit export for getopts hash if read readonly return set shift times trap type ulimit umask unset until wait while'.split(
    ' ',
  ),
);

export type AgentCommand =
  | { readonly found: true; readonly command: string }
  | { readonly found: false; readonly message: string; readonly remedy: string };

/**
 * Chooses the agent command and looks, before anything starts, whether its program exists. Only a plain first word or an
 * absolute path is looked up; a relative path belongs to the clone, and anything else is the shell's to judge at run time.
 */
export function findAgentCommand(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): AgentCommand {
  const { PATH = '' } = environment;
  const command = given ?? DEFAULT_AGENT_COMMAND;
  const program = /^\s*(\S+)/.exec(command)?.[1];
  if (program === undefined) {
    return { found: false, message: 'The agent command is empty.', remedy: 'Give one with --agent "<command>".' };
  }
  if (isInstalled(program, PATH)) return { found: true, command };
  if (given !== undefined) {
    return {
      found: false,
      message: `The agent command "${program}" was not found.`,
      remedy: 'Check the spelling and PATH, or give another with --agent "<command>".',
    };
  }
  return {
    found: false,
    message: `The default agent command is "${DEFAULT_AGENT_COMMAND}", and "${program}" is not installed here.`,
    remedy:
      'Install Claude Code (npm install -g @anthropic-ai/claude-code), or name another agent with --agent "<command>".',
  };
}

function isInstalled(program: string, path: string): boolean {
  if (!/^[A-Za-z0-9_./+-]+$/.test(program) || SHELL_WORDS.has(program)) return true;
  if (program.startsWith('/')) return isExecutable(program);
  if (program.includes('/')) return true;
  return path.split(delimiter).some((folder) => folder !== '' && isExecutable(join(folder, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
