/** What a program usually takes from its surroundings; passed in, so that a whole pipeline replays from one seed. */

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** An id that nobody else has: 1 to 40 characters of `[0-9a-z-]`; ids made later sort later. */
  id(): string;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** One line is one JSON object. Payloads never go in. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export type Counter =
  | 'bytesRead'
  | 'rowsRead'
  | 'rowsPruned'
  | 'rowsFiltered'
  | 'rowsFailed'
  | 'rowsTransformed'
  | 'messages'
  | 'frames'
  | 'frameBytes'
  | 'framesApplied'
  | 'applied'
  | 'duplicates'
  /** Keys of messages from elsewhere that were not claimed, committed or released because the store of keys failed. */
  | 'dedupUnavailable'
  | 'stale'
  | 'failuresOpened'
  | 'failuresClosed'
  | 'sectionsSent'
  | 'sectionsComplete'
  /** Records of the stream of frames that were given up and cannot be put again: gone, damaged, or of a build that nobody has. */
  | 'recordsLost'
  | 'putsRejected'
  | 'retries';

export interface Metrics {
  add(counter: Counter, value: number): void;
}
