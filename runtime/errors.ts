/** `soon`: throw, the delivery is tried again. `later`: a due date brings it back. `never`: to the dead letters, with an alarm. */
export type Retry = 'soon' | 'later' | 'never';

interface ErrorKind {
  readonly retry: Retry;
  /** What an operator does next; the runbook has a section for each code. */
  readonly remedy: string;
}

/** Every error code of Baton. Declared once; messages, exit codes and the runbook are made from this. */
export const errorCodes = {
  bad_input: { retry: 'never', remedy: 'Correct the input that the message names and try again.' },
  malformed_event: { retry: 'never', remedy: 'Mend the producer; the event is in the dead letters.' },
  unknown_task: { retry: 'never', remedy: 'Check the task id: `baton list` shows the tasks of this world.' },
  unknown_letter: {
    retry: 'never',
    remedy: 'Nothing, if it was redriven meanwhile; `baton redrive` lists those that are there.',
  },
  unknown_repository: {
    retry: 'never',
    remedy:
      'Nothing, if the deployment suits its tasks; `baton repo list` shows what is configured, `baton repo set` configures.',
  },
  unknown_reference: { retry: 'never', remedy: 'The payload is gone: the task has settled, or never was.' },
  contention: {
    retry: 'soon',
    remedy: 'Nothing: the step is tried again. If it stays, one key is written by too many at once.',
  },
  store_corrupt: {
    retry: 'never',
    remedy: 'Move the data directory away and keep it; start with a new one, or restore a backup.',
  },
  store_full: {
    retry: 'soon',
    remedy: 'Free disk space, then start the world again; nothing that was acknowledged is lost.',
  },
  store_locked: {
    retry: 'never',
    remedy: 'Another world runs on this data directory: use it, stop it, or choose another with --data.',
  },
  store_unwritable: { retry: 'never', remedy: 'Make the data directory writable, or choose another with --data.' },
  store_closed: { retry: 'soon', remedy: 'The world is closing; start it again.' },
  port_in_use: { retry: 'never', remedy: 'Choose another port with --port, or stop who listens there.' },
  no_world: { retry: 'never', remedy: 'Start one with `baton dev`, or name it with --endpoint or --data.' },
  task_ended: { retry: 'never', remedy: 'Nothing: the task has its end; `baton show` tells which and why.' },
  ambiguous_task: { retry: 'never', remedy: 'Give more characters of the task id; `baton list` shows it whole.' },
  rejected: { retry: 'never', remedy: 'Correct the request and send it under another idempotency key.' },
  run_fenced: { retry: 'never', remedy: 'Nothing: another run holds the attempt, or the attempt is over.' },
  token_refused: { retry: 'never', remedy: 'Send the run token of this attempt, as its payload gives it.' },
  not_answered: {
    retry: 'soon',
    remedy: 'The request is kept and will be handled; ask again, and look at the dead letters if it stays so.',
  },
  given_up: {
    retry: 'never',
    remedy: 'Mend what the message names, then deliver it once more: `baton redrive` lists what was given up.',
  },
  world_starting: { retry: 'soon', remedy: 'Wait a moment: the world takes up what an earlier one left.' },
  unknown_path: { retry: 'never', remedy: 'Use a path that the message lists.' },
  wrong_method: { retry: 'never', remedy: 'Use a method that the message lists.' },
  wrong_content_type: { retry: 'never', remedy: 'Send JSON, and say so: `content-type: application/json`.' },
  malformed_json: { retry: 'never', remedy: 'Send one JSON object in UTF-8.' },
  body_too_large: { retry: 'never', remedy: 'Send less; long material belongs into the repository.' },
  host_refused: { retry: 'never', remedy: 'Use the address that the world printed; it serves this machine alone.' },
  bad_configuration: { retry: 'never', remedy: 'Correct the variables that the message names, and deploy again.' },
  service_throttled: {
    retry: 'soon',
    remedy: 'Nothing: the call is tried again. If it stays, ask for a higher rate of that service.',
  },
  service_unavailable: { retry: 'soon', remedy: 'Look at the health of the service; the call is tried again.' },
  service_denied: { retry: 'never', remedy: 'Give the role the action that the message names.' },
  service_refused: { retry: 'never', remedy: 'The service refuses the request as it is; read its message.' },
  bus_missing: {
    retry: 'never',
    remedy: 'Deploy the event bus, or correct its name: what is put on a bus that does not exist is lost.',
  },
  compute_throttled: { retry: 'soon', remedy: 'Nothing: the call is tried again. If it stays, ask for a higher rate.' },
  compute_capacity: { retry: 'soon', remedy: 'Nothing: the start is tried again when there may be capacity.' },
  compute_unavailable: { retry: 'soon', remedy: 'Look at the health of the back end; the call is tried again.' },
  compute_denied: { retry: 'never', remedy: 'Give the role the action that the message names.' },
  compute_invalid: { retry: 'never', remedy: 'The back end refuses the request as it is; read its message.' },
  channel_unavailable: {
    retry: 'soon',
    remedy: 'Nothing: that one message is tried again. If it stays, look at the receiver that the message names.',
  },
  effect_under_way: {
    retry: 'soon',
    remedy: 'Nothing: another delivery of the same fact is at it; this one is tried again.',
  },
  configuration_corrupt: {
    retry: 'never',
    remedy: 'Set the configurations again with `baton repo set`, after removing the record that the message names.',
  },
  replay_exists: { retry: 'never', remedy: 'Choose another name: a replay keeps its own for ever.' },
  unknown_archive: {
    retry: 'never',
    remedy: 'Check the name: the operation `ListArchives` lists the archives of this world.',
  },
  unknown_replay: {
    retry: 'never',
    remedy: 'Check the name: `GET /baton/v1/replays` lists the replays of this world.',
  },
  replay_refused: { retry: 'never', remedy: 'Correct what the message names and start it again.' },
  undeclared_fact: { retry: 'never', remedy: 'Declare the event in the `emits` of the rule, or do not publish it.' },
  missing_port: { retry: 'never', remedy: 'Give the world a port of that name, or leave the rule out of it.' },
  invalid_pattern: {
    retry: 'never',
    remedy: 'Correct the rule where the message says; EventBridge would refuse it too.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorCodes;

/** What to do about an error that nobody foresaw. */
export const UNEXPECTED_REMEDY =
  'Look at the log for its stack; redrive when what it speaks of is mended, and report it otherwise.';

/** An error with a code, when to try again, and what to do. Everything that Baton throws on purpose is one. */
export class BatonError extends Error {
  readonly code: ErrorCode;
  readonly retry: Retry;
  readonly remedy: string;
  /** Before then it is in vain to try again, where that is known. */
  readonly notBefore: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; remedy?: string; notBefore?: string } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'BatonError';
    this.code = code;
    this.retry = errorCodes[code].retry;
    this.remedy = options.remedy ?? errorCodes[code].remedy;
    this.notBefore = options.notBefore;
  }
}

export class StoreError extends BatonError {}
export class ComputeError extends BatonError {}

/** When to try again what failed with this: what nobody foresaw may be passing. */
export const retryOf = (error: unknown): Retry => (error instanceof BatonError ? error.retry : 'soon');
