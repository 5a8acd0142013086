import { errorCatalogue, type ErrorCode } from './error-codes.ts';
import type { Position } from './position.ts';

/** Recognises our errors across bundles, where `instanceof` fails because each bundle has its own class. */
const BRAND = Symbol.for('sluice.error');

export interface SluiceErrorOptions {
  /** Stable and documented. A pipeline may use codes of its own; they start with `E_` by convention. */
  code?: ErrorCode | (string & {});
  /** What was thrown underneath, kept as it was. */
  cause?: unknown;
  /** Where in the lake it happened, if that is known. */
  position?: Position;
  /** Whether the same call can succeed later. Default: what the catalogue says of the code, else false. */
  retryable?: boolean;
}

export abstract class SluiceError extends Error {
  abstract readonly kind: 'domain' | 'infrastructure';
  readonly code: string;
  readonly retryable: boolean;
  readonly position: Position | undefined;
  readonly [BRAND] = true;

  constructor(message: string, options: SluiceErrorOptions & { code: string }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.retryable = options.retryable ?? isRetryableCode(options.code);
    this.position = options.position;
  }
}

/**
 * A fault of one row, message, object or pipeline: the same input fails again. A `transform` throws it to
 * reject the row that it was given; the others go on. Default code: `E_TRANSFORM`.
 */
export class DomainError extends SluiceError {
  override readonly name = 'DomainError';
  readonly kind = 'domain';

  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, { ...options, code: options.code ?? 'E_TRANSFORM' });
  }
}

/** A fault of what Sluice runs on (disk, network, database). Default code: `E_INFRASTRUCTURE`, retryable. */
export class InfrastructureError extends SluiceError {
  override readonly name = 'InfrastructureError';
  readonly kind = 'infrastructure';

  constructor(message: string, options: SluiceErrorOptions = {}) {
    super(message, { ...options, code: options.code ?? 'E_INFRASTRUCTURE' });
  }
}

export function isSluiceError(value: unknown): value is DomainError | InfrastructureError {
  return typeof value === 'object' && value !== null && (value as { [BRAND]?: unknown })[BRAND] === true;
}

export function isDomainError(value: unknown): value is DomainError {
  return isSluiceError(value) && value.kind === 'domain';
}

/** The text of whatever was thrown: pipelines and libraries throw more than errors. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name;
  if (typeof thrown === 'string') return thrown;
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

function isRetryableCode(code: string): boolean {
  return Object.hasOwn(errorCatalogue, code) && errorCatalogue[code as ErrorCode].retryable;
}
