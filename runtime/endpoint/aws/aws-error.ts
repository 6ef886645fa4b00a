/** An error as AWS gives it: a code that clients go by, an HTTP status, and words. */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;
  /** Further members of the error's shape, such as `resourceIds` of ECS's ConflictException. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: string, status: number, message: string, members: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = 'AwsError';
    this.code = code;
    this.status = status;
    this.members = members;
  }
}

/** The fault is the caller's, and JSON protocols say so with 400 whatever it is. */
export const refused = (code: string, message: string, members?: Readonly<Record<string, unknown>>): AwsError =>
  new AwsError(code, 400, message, members);
