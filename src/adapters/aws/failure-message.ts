import { Buffer } from 'node:buffer';
import { DomainError } from '../../domain/errors.ts';
import { isFailure, isFields } from '../../domain/failure-shape.ts';
import { ledgerFields } from '../../domain/ledger-line.ts';
import type { RoutedFailure } from '../../domain/ports/error-router.ts';
import { queueJson, type QueueMessage } from './sqs-batch.ts';

/** What tells a failure from whatever else may lie in a queue. */
const KIND = 'sluice.failure/1';

/** The topic takes 256 KiB; a body over this is cut to what names the failure, in bytes. Attributes have a few KiB. */
const MAX_NOTICE_BYTES = 200 * 1024;
/** One attribute, in bytes: a key has up to 1,024 before it is encoded. */
const MAX_ATTRIBUTE_LENGTH = 4_096;

/** A failure for the failure queue: whole, with its payload, so that whoever receives it needs nothing else. */
export function failureMessage(routed: RoutedFailure): QueueMessage {
  const { failure, ...rest } = routed;
  const payload = failure.payload === null ? null : Buffer.from(failure.payload).toString('base64');
  const body = queueJson({ kind: KIND, ...rest, failure: { ...failure, payload } });
  return { body, attributes: failureAttributes(routed) };
}

/**
 * The failure that a message of the failure queue holds; a claim is to be redeemed before.
 *
 * @throws DomainError `E_EVENT` where it is something else
 */
export function readFailureMessage(body: string): RoutedFailure {
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch {
    // The parser's own message quotes the payload.
    throw notAFailure();
  }
  if (!isFields(message) || message['kind'] !== KIND) throw notAFailure();
  const { kind: _kind, failure, ...about } = message;
  const routed = { ...about, failure: isFields(failure) ? withPayload(failure) : null };
  if (!isRouted(routed)) throw notAFailure();
  return routed;
}

function withPayload(failure: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { payload } = failure;
  return typeof payload === 'string'
    ? { ...failure, payload: new Uint8Array(Buffer.from(payload, 'base64')) }
    : failure;
}

function isRouted(value: object): value is RoutedFailure {
  const { generation, pipeline, version, run, build, route, at, failure } = value as {
    readonly [Name in keyof RoutedFailure]: unknown;
  };
  return (
    [generation, pipeline, run, build].every((text) => typeof text === 'string') &&
    Number.isFinite(version) &&
    (route === 'dead-letter' || route === 'ledger') &&
    typeof at === 'number' &&
    !Number.isNaN(new Date(at).getTime()) &&
    isFailure(failure)
  );
}

/** A failure for the topic: what people and tools want to know of it, without its payload. */
export function failureNotice(routed: RoutedFailure): QueueMessage {
  const attributes = failureAttributes(routed);
  const body = queueJson(ledgerFields(routed));
  if (Buffer.byteLength(body) <= MAX_NOTICE_BYTES) return { body, attributes };
  const { id, at, pipeline, version, generation, run, route, stage, code, rows } = ledgerFields(routed);
  return {
    body: queueJson({ id, at, pipeline, version, generation, run, route, stage, code, rows, cut: true }),
    attributes,
  };
}

/** What subscribers and readers filter by. */
function failureAttributes({ pipeline, version, route, failure }: RoutedFailure): Record<string, string> {
  const { position, stage, code } = failure;
  const attributes = {
    pipeline,
    version: String(version),
    route,
    stage,
    code,
    ...(position.kind === 'row'
      ? { object: `${position.object.bucket}/${position.object.key}` }
      : { source: position.source }),
  };
  return Object.fromEntries(
    Object.entries(attributes)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => [name, attributeText(value)]),
  );
}

/** Attributes take only what XML can hold: everything else, and what is not ASCII, is percent-encoded, as in a URL. */
function attributeText(value: string): string {
  return encodeURI(value.slice(0, MAX_ATTRIBUTE_LENGTH / 4).toWellFormed()).slice(0, MAX_ATTRIBUTE_LENGTH);
}

function notAFailure(): DomainError {
  return new DomainError('A message of the failure queue is no failure of ours', { code: 'E_EVENT' });
}
