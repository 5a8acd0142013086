import { resolve } from 'node:path';
import { startRuntime } from '../container.ts';
import { untilInterrupted } from '../interrupt.ts';
import { databaseUrl } from '../options.ts';
import type { Runtime } from '../runtime.ts';

export interface ResultsFlags {
  readonly out: string;
  readonly database?: string | true;
}

/** Opens the results of an output folder or a database, which must be there, for a command that looks at them. */
export function withResults<Result>(
  { out, database, partitions = 1 }: ResultsFlags & { readonly partitions?: number },
  work: (runtime: Runtime, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  return untilInterrupted(async (signal) => {
    const runtime = await startRuntime({
      out: resolve(out),
      database: databaseUrl(database),
      partitions,
      create: false,
      log: { level: 'warn' },
    });
    try {
      return await work(runtime, signal);
    } finally {
      await runtime.close();
    }
  });
}
