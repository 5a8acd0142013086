import { Buffer } from 'node:buffer';
import { types } from 'node:util';
import { DomainError, InfrastructureError } from '../../domain/errors.ts';
import { MASKED } from '../../domain/mask.ts';
import { setField } from './value-reader.ts';
import { definedFields, isPlainObject, MAX_DEPTH } from './value-writer.ts';

/**
 * Plain data as JSON that any reader understands; what JSON does not have is an object with one field:
 * `{"$bigint":"12"}`, `{"$date":"2019-05-25T00:00:00.000Z"}` (`null` where it is invalid), `{"$bytes":"base64"}`, `{"$number":"NaN"}`,
 * `{"$undefined":true}` (in lists), `{"$masked":true}` (in what failures keep). An object that looks like one of these travels as `{"$object":{…}}`.
 *
 * @param depth at which level it stands; below 0 for what wraps a message
 * @throws DomainError `E_MESSAGE_UNSUPPORTED`
 */
export function toTaggedJson(value: unknown, depth = 0): string {
  return JSON.stringify(isJson(value) ? value : tag(value, depth));
}

/** Whether data is an object of text, numbers and truth values alone, as most messages are: it needs no copy with tags. */
function isJson(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !isPlainObject(value)) return false;
  const fields = Object.keys(value);
  if (fields.length === 1) return false;
  for (const name of fields) {
    const field = (value as Record<string, unknown>)[name];
    switch (typeof field) {
      case 'string':
      case 'boolean':
        break;
      case 'number':
        if (!Number.isFinite(field)) return false;
        break;
      default:
        if (field !== null) return false;
    }
  }
  return true;
}

function tag(value: unknown, depth: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : { $number: String(value) };
  if (typeof value === 'bigint') return { $bigint: value.toString() };
  if (value === undefined) return { $undefined: true };
  if (typeof value !== 'object') throw unsupported(`a ${typeof value}`);
  if (depth >= MAX_DEPTH) throw unsupported(`data nested deeper than ${MAX_DEPTH} levels, or a cycle`);
  if (Array.isArray(value)) return Array.from(value, (item) => tag(item, depth + 1));
  if (isPlainObject(value)) {
    const object: Record<string, unknown> = {};
    const fields = definedFields(value);
    for (const name of fields)
      setField(object, name, tag((value as Record<string, unknown>)[name], depth + 1));
    return fields.length === 1 && fields[0]?.startsWith('$') ? { $object: object } : object;
  }
  if (types.isDate(value)) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
  if (types.isUint8Array(value)) return { $bytes: Buffer.from(value).toString('base64') };
  if (value === MASKED) return { $masked: true };
  throw unsupported(`an instance of ${value.constructor?.name ?? 'a class'}`);
}

/** @throws InfrastructureError `E_FRAME_CORRUPT` */
export function fromTaggedJson(text: string): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The parser's own message quotes the data.
    throw damaged('it is no JSON');
  }
  return untag(parsed, 0);
}

/** Each level of data takes up to two of JSON, and the envelope some more. */
const MAX_JSON_DEPTH = 2 * MAX_DEPTH + 10;

function untag(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > MAX_JSON_DEPTH) throw damaged('it is nested too deep');
  if (Array.isArray(value)) return value.map((item) => untag(item, depth + 1));
  const names = Object.keys(value);
  const only = (value as Record<string, unknown>)[names[0] as string];
  if (names.length === 1 && names[0]?.startsWith('$')) return untagOne(names[0], only, depth + 1);
  return untagFields(value as Record<string, unknown>, depth);
}

function untagFields(value: Record<string, unknown>, depth: number): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const name of Object.keys(value)) setField(object, name, untag(value[name], depth + 1));
  return object;
}

/** Numbers that JSON does not have. */
const NOT_IN_JSON: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity']);

function untagOne(name: string, value: unknown, depth: number): unknown {
  if (name === '$bigint' && typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value);
  if (name === '$date' && (value === null || typeof value === 'string')) return new Date(value ?? Number.NaN);
  if (name === '$bytes' && typeof value === 'string') return new Uint8Array(Buffer.from(value, 'base64'));
  if (name === '$number' && typeof value === 'string' && NOT_IN_JSON.has(value)) return Number(value);
  if (name === '$undefined') return undefined;
  if (name === '$masked') return MASKED;
  if (name === '$object' && typeof value === 'object' && value !== null)
    return untagFields(value as Record<string, unknown>, depth);
  throw damaged('a tag is not known, or holds what it cannot');
}

function damaged(why: string): InfrastructureError {
  return new InfrastructureError(`encoded data is damaged: ${why}`, { code: 'E_FRAME_CORRUPT' });
}

function unsupported(what: string): DomainError {
  return new DomainError(`a message cannot hold ${what}`, { code: 'E_MESSAGE_UNSUPPORTED' });
}
