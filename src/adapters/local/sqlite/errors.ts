import { InfrastructureError, isSluiceError } from '../../../domain/errors.ts';

/** Primary result codes of SQLite; extended ones carry more in the higher bits. */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

const advice: Readonly<Record<number, string>> = {
  [READONLY]: 'may only be read: check the rights of the file and its folder',
  [IOERR]: 'cannot be read or written: check the disk and the space on it',
  [CORRUPT]: 'is damaged: restore it, or delete it and run again',
  [FULL]: 'cannot grow, the disk is full: free some space and start again, the run continues',
  [CANTOPEN]: 'cannot be opened or made: check that the folder exists and may be written',
  [NOTADB]: 'is not a SQLite database: choose another output folder, or delete it',
};

/** Whatever was thrown under the store, as an error of Sluice; errors that are one already stay as they are. */
export function storeError(thrown: unknown, path: string): unknown {
  if (isSluiceError(thrown)) return thrown;
  const code = sqliteCode(thrown);
  if (code === undefined) return thrown;
  const primary = code & 0xff;
  if (primary === BUSY || primary === LOCKED) {
    return new InfrastructureError(`${path} is locked by another process`, {
      code: 'E_STORE_BUSY',
      cause: thrown,
    });
  }
  const text = advice[primary];
  if (text !== undefined)
    return new InfrastructureError(`${path} ${text}`, { code: 'E_OUTPUT', cause: thrown });
  return new InfrastructureError(`${path}: ${(thrown as Error).message}`, {
    code: 'E_INTERNAL',
    cause: thrown,
  });
}

export function isBusy(thrown: unknown): boolean {
  const code = sqliteCode(thrown);
  return code !== undefined && ((code & 0xff) === BUSY || (code & 0xff) === LOCKED);
}

function sqliteCode(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  const { code, errcode } = thrown as { code?: unknown; errcode?: unknown };
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' ? errcode : undefined;
}
