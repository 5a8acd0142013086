import type { ErrorCode } from '../../domain/error-codes.ts';
import { InfrastructureError, isSluiceError, messageOf } from '../../domain/errors.ts';
import { ConnectionLost } from './database.ts';

/** Codes of PostgreSQL ("PostgreSQL Error Codes" in its manual) that mean more than that a statement failed. */
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK = '40P01';
const LOCK_NOT_AVAILABLE = '55P03';
const QUERY_CANCELED = '57014';
export const DEPENDENT_OBJECTS = '2BP01';

/** The connection is gone, or is about to go: the server shuts down, starts, gave its role to another, was idle for too long. */
const lostConnection = /^(08...|57P0.|25006|25P03|53300)$/;
const full = /^(53...|54...)$/;
const noTables = /^(42P01|42703|3F000|42883)$/;
const refused = /^(28...|42501)$/;
const NO_DATABASE = '3D000';

/** The code that the server gave an error; `undefined` where it is not the server's. */
export function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('severity' in thrown) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** Nothing happened, and the same may succeed at once. */
export function isWorthAnotherTry(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === DEADLOCK || code === SERIALIZATION_FAILURE;
}

export function isConnectionLost(thrown: unknown): boolean {
  return thrown instanceof ConnectionLost || lostConnection.test(codeOf(thrown) ?? '');
}

/** Whatever was thrown in a transaction, as an error of Sluice; what does not come from the database stays as it is. */
export function databaseError(thrown: unknown, name: string): unknown {
  if (isSluiceError(thrown)) return thrown;
  const code = codeOf(thrown);
  const error = (text: string, sluiceCode: ErrorCode) =>
    new InfrastructureError(`${name} ${text}`, { code: sluiceCode, cause: thrown });
  if (isConnectionLost(thrown))
    return error(`cannot be reached, or broke off: ${messageOf(thrown)}`, 'E_INFRASTRUCTURE');
  if (code === undefined) return thrown;
  if (isWorthAnotherTry(thrown) || code === LOCK_NOT_AVAILABLE || code === QUERY_CANCELED)
    return error(`is held up by other transactions: ${messageOf(thrown)}`, 'E_STORE_BUSY');
  if (full.test(code)) return error(`has no room left: ${messageOf(thrown)}`, 'E_INFRASTRUCTURE');
  if (refused.test(code)) return error(`refuses: ${messageOf(thrown)}`, 'E_ACCESS_DENIED');
  if (code === NO_DATABASE) return error(`is not there: ${messageOf(thrown)}`, 'E_RESOURCE_MISSING');
  if (noTables.test(code))
    return schemaError(`${name} misses a table of Sluice: ${messageOf(thrown)}`, thrown);
  return error(`failed (${code}): ${messageOf(thrown)}`, 'E_INTERNAL');
}

export function schemaError(text: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(text, { code: 'E_STORE_SCHEMA', cause });
}
