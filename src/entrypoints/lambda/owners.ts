import { AsyncLocalStorage } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import { DomainError } from '../../domain/errors.ts';
import type { Log, Metrics } from '../../domain/ports/ambient.ts';

/** Whose work goes on in an asynchronous context. */
export interface Owner {
  /** With what names the invocation. */
  readonly log: Log;
  readonly metrics: Metrics;
  /** What it was called for is not done, whatever its handler says. */
  fail(error: Error): void;
}

interface Watch {
  readonly owners: AsyncLocalStorage<Owner>;
  listening: boolean;
}

// A kept bundle is another copy of this module in the same process: they share whom a context belongs to, or each would take
// the other's rejections for nobody's.
const WATCH = Symbol.for('sluice.lambda.rejections');

function watch(): Watch {
  const shared = globalThis as { [WATCH]?: Watch };
  return (shared[WATCH] ??= { owners: new AsyncLocalStorage(), listening: false });
}

/** Runs work whose rejections, wherever they are forgotten, are its owner's. */
export function ownedBy<T>(owner: Owner, work: () => Promise<T>): Promise<T> {
  return watch().owners.run(owner, work);
}

/** Whose work calls; `undefined` outside of all invocations. */
export function currentOwner(): Owner | undefined {
  return watch().owners.getStore();
}

/**
 * Rejections that nobody awaits fail the invocation that they come from. Lambda's own listener would end the process, and with
 * it the other invocations that run in it: where it is Lambda's process, it gives way.
 */
export function watchRejections(
  log: Log,
  target: EventEmitter = process,
  isLambda = process.env['AWS_LAMBDA_RUNTIME_API'] !== undefined,
): void {
  const shared = watch();
  if (target === process && shared.listening) return;
  if (target === process) shared.listening = true;
  if (isLambda) target.removeAllListeners('unhandledRejection');
  target.on('unhandledRejection', (reason: unknown) => {
    // Node emits the event in the context in which the promise was rejected.
    const owner = currentOwner();
    // What it says is the pipeline's own text, and may quote a row: what it is and where it comes from tell enough.
    const { name, origin } = originOf(reason);
    const error = new DomainError(`a promise that nobody awaits was rejected with ${name}`, {
      code: 'E_NOT_AWAITED',
    });
    (owner?.log ?? log).error({ code: error.code, origin }, error.message);
    owner?.fail(error);
  });
}

function originOf(reason: unknown): { readonly name: string; readonly origin: string | undefined } {
  if (!(reason instanceof Error)) return { name: typeof reason, origin: undefined };
  const frames = reason.stack?.split('\n').filter((line) => line.startsWith('    at '));
  return { name: reason.constructor.name, origin: frames?.join('\n') };
}
