import type { Log, LogFields } from '../../domain/ports/ambient.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogLine {
  readonly level: LogLevel;
  readonly fields: LogFields;
  readonly message: string;
}

/** Keeps the last lines, for tests. */
export class InMemoryLog implements Log {
  readonly #lines: LogLine[] = [];
  readonly #maxLines: number;

  /** @param options.maxLines older ones are dropped. Default 10,000 */
  constructor({ maxLines = 10_000 }: { readonly maxLines?: number } = {}) {
    this.#maxLines = maxLines;
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  debug(fields: LogFields, message: string): void {
    this.#add('debug', fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#add('info', fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#add('warn', fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#add('error', fields, message);
  }

  #add(level: LogLevel, fields: LogFields, message: string): void {
    this.#lines.push({ level, fields, message });
    if (this.#lines.length > this.#maxLines) this.#lines.shift();
  }
}

/** Says nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
