import { open } from 'node:fs/promises';
import { isErrno } from '../../agent/supervisor-files.ts';

/** Longest piece of a log in one answer, in bytes: quick to send, and a whole log of 64 MiB in some 250 pieces. */
export const LOG_PIECE_MAX_BYTES = 256 * 1024;

export interface LogPiece {
  readonly bytes: Buffer;
  /** Offset of what comes after it. */
  readonly next: number;
  /** Nothing comes after it. */
  readonly end: boolean;
}

/**
 * Reads a piece of a log from a byte offset; one past the end gives nothing. `ended` says whether the run had ended before the read:
 * only then is the end of the file the end of the log. A character is not torn unless the log itself does.
 */
export async function readLog(file: string, offset: number, ended: boolean): Promise<LogPiece> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { bytes: Buffer.alloc(0), next: offset, end: ended };
    throw error;
  }
  try {
    const { size } = await handle.stat();
    const length = Math.max(0, Math.min(LOG_PIECE_MAX_BYTES, size - offset));
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    const reachesEnd = offset + bytesRead >= size;
    const bytes = buffer.subarray(0, reachesEnd && ended ? bytesRead : wholeCharacters(buffer, bytesRead));
    return { bytes, next: offset + bytes.length, end: ended && reachesEnd };
  } finally {
    await handle.close();
  }
}

/** Length without the first bytes of a UTF-8 character whose others are missing; all of it when it is not UTF-8. */
function wholeCharacters(buffer: Buffer, length: number): number {
  for (let back = 1; back <= Math.min(3, length); back++) {
    const byte = buffer[length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back && length > back ? length - back : length;
  }
  return length;
}
