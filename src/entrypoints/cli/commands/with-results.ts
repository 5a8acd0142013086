import { resolve } from 'node:path';
import { startRuntime } from '../container.ts';
import { untilInterrupted } from '../interrupt.ts';
import type { Runtime } from '../runtime.ts';

/** Opens the results of an output folder, which must be there, for a command that looks at them. */
export function withResults<Result>(
  { out, partitions = 1 }: { readonly out: string; readonly partitions?: number },
  work: (runtime: Runtime, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  return untilInterrupted(async (signal) => {
    const runtime = await startRuntime({
      out: resolve(out),
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
