import process from 'node:process';
import { pino } from 'pino';
import type { Log, LogFields } from '../../domain/ports/ambient.ts';
import { cleanText, tamer, type TameOptions } from '../log-fields.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Takes whole lines, each with its end. */
export interface LineStream {
  write(line: string): void;
}

/** Before the write returns: a container may be frozen right after its invocation. */
export const standardOutput: LineStream = { write: (line) => void process.stdout.write(line) };

export interface AwsLogOptions extends TameOptions {
  /** The least that is written. Default `info`. */
  readonly level?: LogLevel;
  /** In every line: the pipeline, the function, the build. */
  readonly fields?: LogFields;
  /** Default: standard output, which Lambda takes to CloudWatch Logs line by line. */
  readonly stream?: LineStream;
}

/**
 * JSON Lines by pino, as the local provider writes them: `level` as a word, `time` in ISO 8601, `msg`, and the fields. Errors
 * are told with code, position and causes. Payloads stay out, and so do secrets: by the name of their field, however deep it lies,
 * and by what stands around them in a text.
 */
export function awsLog({
  level = 'info',
  fields = {},
  stream = standardOutput,
  ...tameOptions
}: AwsLogOptions = {}): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  const tame = tamer(tameOptions);
  const bound = tame(fields);
  const writer = (lineLevel: keyof Log) => (own: LogFields, message: string) => {
    // What is not written must cost nothing: the stack of an error, with source maps, is 95 ms in the first line that has one.
    if (!logger.isLevelEnabled(lineLevel)) return;
    // Merged here: bound by pino, a field would be twice in a line that has one of its name, too.
    logger[lineLevel]({ ...bound, ...tame(own) }, cleanText(message));
  };
  return { debug: writer('debug'), info: writer('info'), warn: writer('warn'), error: writer('error') };
}
