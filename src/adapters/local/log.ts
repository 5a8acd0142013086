import { destination, pino, type DestinationStream } from 'pino';
import type { Log, LogFields } from '../../domain/ports/ambient.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LocalLogOptions {
  /** The least that is written. Default `info`. */
  readonly level?: LogLevel;
  /** Where lines go, whole. Default: standard error, written before the call returns. */
  readonly stream?: DestinationStream;
}

/** Whoever logs a failure or a row by mistake logs no customer's data with it. */
const PAYLOAD_FIELDS = new Set(['payload', 'row', 'raw', 'data']);
const MAX_DEPTH = 4;

/** JSON Lines by pino: `level` as a word, `time` in ISO 8601, `msg`, and the fields. Payloads and bytes are left out. */
export function localLog({
  level = 'info',
  stream = destination({ fd: 2, sync: true }),
}: LocalLogOptions = {}): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return {
    debug: (fields, message) => logger.debug(tame(fields), message),
    info: (fields, message) => logger.info(tame(fields), message),
    warn: (fields, message) => logger.warn(tame(fields), message),
    error: (fields, message) => logger.error(tame(fields), message),
  };
}

function tame(fields: LogFields): Record<string, unknown> {
  return tameFields(fields, 0);
}

function tameFields(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([name]) => !PAYLOAD_FIELDS.has(name))
      .map(([name, value]) => [name, tameValue(value, depth + 1)]),
  );
}

function tameValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (depth > MAX_DEPTH) return '…';
  if (value instanceof Error) return tameError(value, depth);
  if (Array.isArray(value)) return value.map((item) => tameValue(item, depth + 1));
  return tameFields(value, depth);
}

function tameError(error: Error, depth: number): unknown {
  const { name, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  return {
    name,
    ...(code === undefined ? {} : { code }),
    message,
    stack,
    cause: tameValue(cause, depth + 1),
  };
}
