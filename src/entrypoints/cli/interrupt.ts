import { InfrastructureError, isSluiceError } from '../../domain/errors.ts';
import { exitCodes } from './exit-codes.ts';

/** Ctrl-C, the end asked for by whoever runs us, and that of the terminal. */
const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `work` with a signal that Ctrl-C (or SIGTERM, SIGHUP) aborts: what is under way is given up in order, and what was applied stays. One
 * more Ctrl-C ends the process at once, which is safe too.
 *
 * @param ending where it is given, the first Ctrl-C only aborts this one: no more input is taken, what is there is finished
 */
export async function untilInterrupted<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  ending?: AbortController,
): Promise<Result> {
  const controller = new AbortController();
  const interrupt = (name: NodeJS.Signals) => {
    const reason = new InfrastructureError(`stopped by ${name}; what was applied is kept`, {
      code: 'E_ABORTED',
      retryable: false,
    });
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    else if (ending === undefined || ending.signal.aborted) controller.abort(reason);
    else ending.abort(reason);
  };
  for (const name of INTERRUPTS) process.on(name, interrupt);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of INTERRUPTS) process.off(name, interrupt);
  }
}

export function isInterrupt(thrown: unknown): boolean {
  return isSluiceError(thrown) && thrown.code === 'E_ABORTED';
}
