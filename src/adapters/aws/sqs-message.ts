import { Buffer } from 'node:buffer';
import { DomainError, messageOf } from '../../domain/errors.ts';
import { parseWhere } from '../../domain/predicate.ts';
import type { Task } from '../../domain/section.ts';
import type { ClaimCheck } from './claim-check.ts';
import { queueJson } from './sqs-batch.ts';

type Claims = Pick<ClaimCheck, 'redeem'>;

/** How a task travels. */
export function bodyOfTask(task: Task): string {
  return queueJson(task);
}

/**
 * The task that a message of the task queue holds, redeemed where its body is a claim.
 *
 * @throws DomainError `E_TASK_INVALID`
 */
export async function taskOfBody(body: string, claims: Claims, signal: AbortSignal): Promise<Task> {
  const text = await redeemed(body, claims, signal);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says quotes the message, and payloads never go into logs.
    throw invalid('it is no JSON');
  }
  checkTask(value);
  return value;
}

/**
 * A message from elsewhere as one line of JSON Lines, without its end, redeemed where the body is a claim. The decoder of
 * JSON Lines reads it, so that its values mean the same as those of a file.
 *
 * @throws DomainError `E_JSON` where it is no JSON object
 */
export async function messageLineOfBody(
  body: string,
  claims: Claims,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const text = await redeemed(body, claims, signal);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new DomainError('a message is no JSON', { code: 'E_JSON' });
  }
  if (!isObject(value)) throw new DomainError('a message is no JSON object', { code: 'E_JSON' });
  // Between the parts of JSON a line's end is white space; within a string it is always an escape.
  return Buffer.from(text.replace(/[\r\n]+/g, ' ').trim(), 'utf8');
}

/** The text that a body holds, or the claim in it. */
async function redeemed(body: string, claims: Claims, signal: AbortSignal): Promise<string> {
  const data = await claims.redeem(Buffer.from(body, 'utf8'), signal);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8');
}

function checkTask(value: unknown): asserts value is Task {
  if (!isObject(value)) throw invalid('it is no object');
  for (const name of ['id', 'run', 'generation', 'build']) checkText(value[name], name);
  checkWhole(value['epoch'], 'epoch');
  checkWhere(value['where']);
  const { object, sections, start, done, cleared } = value;
  if (!isObject(object)) throw invalid('object is no object');
  for (const name of ['bucket', 'key', 'version']) checkText(object[name], `object.${name}`);
  checkWhole(object['size'], 'object.size');
  if (!isObject(sections)) throw invalid('sections is no object');
  checkWhole(sections['from'], 'sections.from');
  if (sections['to'] !== null) {
    checkWhole(sections['to'], 'sections.to');
    if (sections['to'] < sections['from']) throw invalid('sections.to is before sections.from');
  }
  if (start !== null) checkWhole(start, 'start');
  if (!Array.isArray(done)) throw invalid('done is no list');
  for (const section of done) checkWhole(section, 'done');
  if (cleared !== undefined && cleared !== 'all') {
    if (!isObject(cleared)) throw invalid('cleared is no row');
    for (const name of ['section', 'coordinate']) checkWhole(cleared[name], `cleared.${name}`);
  }
}

function checkText(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string' || value === '') throw invalid(`${name} is no text`);
}

function checkWhole(value: unknown, name: string): asserts value is number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw invalid(`${name} is no whole number`);
}

function checkWhere(value: unknown): void {
  if (value === null) return;
  try {
    parseWhere(value);
  } catch (cause) {
    throw invalid(messageOf(cause), cause);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(why: string, cause?: unknown): DomainError {
  return new DomainError(`a message is no task: ${why}`, { code: 'E_TASK_INVALID', cause });
}
