import { destination, pino, type DestinationStream } from 'pino';
import type { Log, LogFields } from '../../domain/ports/ambient.ts';
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
  const writer = (lineLevel: keyof Log) => (fields: LogFields, message: string) => {
    if (logger.isLevelEnabled(lineLevel)) logger[lineLevel](tame(fields), cleanText(message));
  };
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') };
}
