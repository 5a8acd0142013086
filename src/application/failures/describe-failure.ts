import { createHash } from 'node:crypto';
import { isSluiceError, messageOf } from '../../domain/errors.ts';
import { MAX_FAILURE_MESSAGE_LENGTH, type Failure, type Stage } from '../../domain/failure.ts';
import type { LakeObject } from '../../domain/lake-object.ts';
import type { Position } from '../../domain/position.ts';

/** The same row or message of the same generation has the same id, whoever finds it failing. */
export function failureId(generation: string, position: Position): string {
  const place =
    position.kind === 'row'
      ? [
          'row',
          position.object.bucket,
          position.object.key,
          position.object.version,
          position.coordinate,
          position.output,
        ]
      : ['key', position.source, position.key, position.output];
  return createHash('sha256')
    .update(JSON.stringify([generation, ...place]))
    .digest('hex')
    .slice(0, 20);
}

/** What the pipeline's own code or a decoder threw, as a failure. Errors without a code of their own get `fallbackCode`. */
export function failureOf(
  generation: string,
  position: Position,
  stage: Stage,
  thrown: unknown,
  fallbackCode: string,
  payload: Uint8Array | null,
  rows: number,
): Failure {
  return {
    id: failureId(generation, position),
    position,
    stage,
    code: isSluiceError(thrown) ? thrown.code : fallbackCode,
    message: messageOf(thrown).slice(0, MAX_FAILURE_MESSAGE_LENGTH).toWellFormed(),
    rows,
    payload,
  };
}

/** An object that could not be opened, or not be read to its end. */
export function failureOfObject(generation: string, object: LakeObject, thrown: unknown): Failure {
  const position: Position = { kind: 'row', object, coordinate: null, output: null };
  return failureOf(generation, position, 'open', thrown, 'E_INTERNAL', null, 0);
}
