import { DomainError, InfrastructureError, isSluiceError, messageOf } from '../../../domain/errors.ts';
import type { Position } from '../../../domain/position.ts';
import { WorkerEnded } from './worker-ended.ts';

/** An error as it crosses to another thread or process: structured cloning would keep neither its class nor its code. */
export interface CrossedError {
  readonly kind: 'domain' | 'infrastructure' | 'worker-ended' | 'other';
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
  readonly retryable: boolean;
  readonly position: Position | undefined;
  readonly ended: Pick<WorkerEnded, 'how' | 'row'> | undefined;
  readonly cause: CrossedError | undefined;
}

/** Causes of causes beyond these stay behind. */
const MAX_CAUSES = 5;

export function crossed(thrown: unknown, causes = MAX_CAUSES): CrossedError {
  const { name, stack, cause } = thrown instanceof Error ? thrown : { name: 'Error' };
  const ours = isSluiceError(thrown) ? thrown : undefined;
  const code = thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined;
  return {
    kind: thrown instanceof WorkerEnded ? 'worker-ended' : (ours?.kind ?? 'other'),
    name,
    message: messageOf(thrown),
    stack: typeof stack === 'string' ? stack : undefined,
    code: typeof code === 'string' ? code : undefined,
    retryable: ours?.retryable ?? false,
    position: ours?.position,
    ended: thrown instanceof WorkerEnded ? { how: thrown.how, row: thrown.row } : undefined,
    cause: cause === undefined || causes === 0 ? undefined : crossed(cause, causes - 1),
  };
}

export function uncrossed(error: CrossedError): Error {
  const cause = error.cause === undefined ? {} : { cause: uncrossed(error.cause) };
  const made = Object.assign(madeOf(error, cause), cause);
  // Where it was thrown, not where it arrived.
  if (error.stack !== undefined) made.stack = error.stack;
  return made;
}

function madeOf(error: CrossedError, cause: { cause?: Error }): Error {
  const { kind, message, code, retryable, position, ended } = error;
  if (kind === 'worker-ended' && ended !== undefined) return new WorkerEnded(message, ended);
  if (kind === 'domain' || kind === 'infrastructure') {
    const options = {
      ...cause,
      retryable,
      ...(code === undefined ? {} : { code }),
      ...(position === undefined ? {} : { position }),
    };
    return kind === 'domain' ? new DomainError(message, options) : new InfrastructureError(message, options);
  }
  return Object.assign(new Error(message), { name: error.name }, code === undefined ? {} : { code });
}
