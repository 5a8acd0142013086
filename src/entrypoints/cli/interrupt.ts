import { InfrastructureError, isSluiceError } from '../../domain/errors.ts';

/**
 * Runs `work` with a signal that Ctrl-C (or SIGTERM) aborts: what is under way is given up in order, and what was applied stays. A
 * second Ctrl-C ends the process at once, which is safe too.
 */
export async function untilInterrupted<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const interrupt = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(
      new InfrastructureError(`stopped by ${name}; what was applied is kept`, {
        code: 'E_ABORTED',
        retryable: false,
      }),
    );
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

export function isInterrupt(thrown: unknown): boolean {
  return isSluiceError(thrown) && thrown.code === 'E_ABORTED';
}
