import { BatonError, type ErrorCode } from '../errors.ts';

/** HTTP status of a refusal; what is not listed is a fault of the world itself (500), or may pass (503). */
const statuses: Partial<Record<ErrorCode, number>> = {
  bad_input: 400,
  malformed_event: 400,
  malformed_json: 400,
  token_refused: 403,
  host_refused: 403,
  unknown_path: 404,
  unknown_task: 404,
  unknown_letter: 404,
  unknown_repository: 404,
  unknown_reference: 404,
  unknown_replay: 404,
  unknown_archive: 404,
  wrong_method: 405,
  ambiguous_task: 409,
  task_ended: 409,
  replay_exists: 409,
  replay_refused: 409,
  run_fenced: 409,
  body_too_large: 413,
  wrong_content_type: 415,
  rejected: 422,
  given_up: 502,
  not_answered: 504,
  store_full: 507,
};

/** What a client is told about an error, without anything from inside that it cannot act upon. */
export function failureOf(error: unknown): {
  status: number;
  body: { error: { code: string; message: string; remedy: string } };
} {
  if (error instanceof BatonError) {
    const status = statuses[error.code] ?? (error.retry === 'soon' ? 503 : 500);
    return { status, body: { error: { code: error.code, message: error.message, remedy: error.remedy } } };
  }
  const message = error instanceof Error ? error.message : String(error);
  const remedy = 'This is a defect of Baton: please report it with the log of the world.';
  return { status: 500, body: { error: { code: 'unexpected', message, remedy } } };
}
