import {
  isFailure,
  isFields,
  isLakeObject,
  isPosition,
  isText,
  isWhole,
} from '../../domain/failure-shape.ts';
import type { FrameBody, FrameHeader, FrameOrigin } from '../../domain/frame.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Which origins a body may have. */
const ORIGINS: Readonly<Record<FrameBody['kind'], readonly FrameOrigin['kind'][]>> = {
  messages: ['section'],
  failures: ['section', 'object'],
  section: ['section'],
  keyed: ['keyed'],
  redrive: ['redrive'],
};

/** Checksum and digest tell that nothing happened on the way, not that whoever wrote the frame wrote one. */
export function isFrameHeader(value: unknown): value is FrameHeader {
  if (!isFields(value)) return false;
  const { generation, build, run, origin, partition, body, codec, digest } = value;
  return (
    [generation, build, run, digest].every(isText) &&
    isWhole(partition) &&
    (codec === 'packed' || codec === 'json') &&
    isFields(origin) &&
    typeof body === 'string' &&
    Object.hasOwn(ORIGINS, body) &&
    ORIGINS[body as FrameBody['kind']].includes(origin['kind'] as FrameOrigin['kind']) &&
    isOrigin(origin)
  );
}

function isOrigin(origin: Fields): boolean {
  switch (origin['kind'] as FrameOrigin['kind']) {
    case 'section':
      return (
        isLakeObject(origin['object']) &&
        isWhole(origin['section']) &&
        isWhole(origin['number']) &&
        isWhole(origin['epoch'])
      );
    case 'object':
      return isLakeObject(origin['object']);
    case 'keyed':
      return isText(origin['source']);
    case 'redrive':
      return isText(origin['failure']);
  }
}

/** Whether data is the body that its `kind` says; messages hold anything. */
export function isFrameBody(value: unknown): value is FrameBody {
  if (!isFields(value)) return false;
  switch (value['kind'] as FrameBody['kind']) {
    case 'messages':
      return (
        isListOf(value['coordinates'], isWhole) &&
        isListOf(value['outputs'], isWhole) &&
        sameLength(value, 'messages', 'coordinates', 'outputs')
      );
    case 'failures':
      return isListOf(value['failures'], isFailure);
    case 'section':
      return isSectionRecord(value['record']);
    case 'keyed':
      return isListOf(value['entries'], isKeyedEntry);
    case 'redrive': {
      const { position, failure, payload } = value;
      return (
        isPosition(position) &&
        isListOf(value['outputs'], isWhole) &&
        sameLength(value, 'messages', 'outputs') &&
        (failure === null || isFailure(failure)) &&
        (payload === null || payload instanceof Uint8Array)
      );
    }
    default:
      return false;
  }
}

const TOTALS = ['section', 'next', 'rows', 'pruned', 'filtered', 'failed', 'transformed', 'messages'];

function isSectionRecord(value: unknown): boolean {
  return (
    isFields(value) &&
    TOTALS.every((name) => isWhole(value[name])) &&
    typeof value['last'] === 'boolean' &&
    isListOf(value['frames'], (pair) => isListOf(pair, isWhole) && (pair as unknown[]).length === 2)
  );
}

function isKeyedEntry(value: unknown): boolean {
  if (!isFields(value)) return false;
  const { key, time, messages, filtered, failure } = value;
  return (
    isText(key) &&
    (time === null || Number.isFinite(time)) &&
    Array.isArray(messages) &&
    typeof filtered === 'boolean' &&
    (failure === null || isFailure(failure))
  );
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function sameLength(fields: Fields, ...names: readonly string[]): boolean {
  const lengths = names.map((name) => (Array.isArray(fields[name]) ? fields[name].length : -1));
  return lengths.every((length) => length >= 0 && length === lengths[0]);
}
