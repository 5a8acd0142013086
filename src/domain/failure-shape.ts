import type { Failure, Stage } from './failure.ts';
import type { LakeObject } from './lake-object.ts';
import type { Position } from './position.ts';

// What came over a wire is data of any shape until it has been looked at.

const STAGES: ReadonlySet<unknown> = new Set<Stage>(['open', 'read', 'transform', 'analyze', 'findings']);

export function isFailure(value: unknown): value is Failure {
  if (!isFields(value)) return false;
  const { id, position, stage, code, message, rows, payload } = value;
  return (
    isText(id) &&
    isPosition(position) &&
    STAGES.has(stage) &&
    isText(code) &&
    typeof message === 'string' &&
    isWhole(rows) &&
    (payload === null || payload instanceof Uint8Array)
  );
}

export function isPosition(value: unknown): value is Position {
  if (!isFields(value) || !isWholeOrNull(value['output'])) return false;
  return value['kind'] === 'row'
    ? isLakeObject(value['object']) && isWholeOrNull(value['coordinate'])
    : value['kind'] === 'key' && typeof value['source'] === 'string' && typeof value['key'] === 'string';
}

export function isLakeObject(value: unknown): value is LakeObject {
  return (
    isFields(value) &&
    typeof value['bucket'] === 'string' &&
    typeof value['key'] === 'string' &&
    typeof value['version'] === 'string' &&
    isWhole(value['size'])
  );
}

export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** A whole number from 0 on. */
export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isWholeOrNull(value: unknown): value is number | null {
  return value === null || isWhole(value);
}
