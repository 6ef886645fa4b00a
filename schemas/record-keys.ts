/** Under which key of the table the record of one attempt stands; handlers and, on AWS, the attempt's own runner write it. */
export const runKey = (taskId: string, attempt: number): string => `RUN#${taskId}#${String(attempt).padStart(3, '0')}`;

/** Under which key of the bucket the payload of a reference lies; handlers write it, the runner reads it. */
export const payloadObjectKey = (ref: string): string => `payloads/${ref}`;
