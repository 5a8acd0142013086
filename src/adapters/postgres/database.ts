/** What the store needs of a driver: so little that another one can be put behind it. */
export interface Database {
  /** Where it is, for messages: without user and password. */
  readonly name: string;
  /**
   * Takes a connection for one transaction; waits for one.
   *
   * @throws ConnectionLost where there is none to be had
   */
  connect(signal: AbortSignal): Promise<Session>;
  /** Waits for the transactions that are under way. Twice is harmless. */
  close(): Promise<void>;
}

/**
 * One connection, and one statement at a time. Errors of the server have its five-character code as `code`; all else is
 * `ConnectionLost`, also where nothing was heard of the server for `timeoutMs` milliseconds (0: it may take as long as it does).
 */
export interface Session {
  /** Statements without values, one after the other. */
  execute(script: string, timeoutMs: number): Promise<void>;
  /** One statement with values (`$1`, …). Whole numbers come back as numbers, bytes as bytes. */
  query(sql: string, values: readonly Value[], timeoutMs: number): Promise<Answer>;
  /**
   * Gives the connection back.
   *
   * @param isClean no transaction is open and no statement under way; otherwise both are broken off
   */
  release(isClean: boolean): Promise<void>;
}

export interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Rows that were given, or changed. */
  readonly count: number;
}

type Single = null | boolean | number | string | Uint8Array;
export type Value = Single | readonly Single[];

/** Nobody knows what became of a statement that was under way. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}
