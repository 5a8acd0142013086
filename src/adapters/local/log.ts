import { destination, pino, type DestinationStream } from 'pino';
import type { Log } from '../../domain/ports/ambient.ts';
import { cleanText, tamer } from '../log-fields.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface LocalLogOptions {
  /** The least that is written. Default `info`. */
  readonly level?: LogLevel;
  /** Where lines go, whole. Default: standard error, written before the call returns. */
  readonly stream?: DestinationStream;
}

/**
 * JSON Lines by pino: `level` as a word, `time` in ISO 8601, `msg`, and the fields. Payloads, bytes and secrets are
 * left out.
 */
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
  const tame = tamer();
  return {
    debug: (fields, message) => logger.debug(tame(fields), cleanText(message)),
    info: (fields, message) => logger.info(tame(fields), cleanText(message)),
    warn: (fields, message) => logger.warn(tame(fields), cleanText(message)),
    error: (fields, message) => logger.error(tame(fields), cleanText(message)),
  };
}
