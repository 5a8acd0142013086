import { DomainError, messageOf } from '../../domain/errors.ts';
import { parseIsoTime } from '../../domain/iso-time.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import { parseWhere } from '../../domain/predicate.ts';
import type { Where } from '../../domain/where.ts';
import { isObject } from './events.ts';

/** Reads what a person or a schedule has written, field by field; every fault is an `E_EVENT` that names its field. */
export class Fields {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws DomainError `E_EVENT` where it is no object, or has a field that is not `known` */
  constructor(value: unknown, known: readonly string[]) {
    if (!isObject(value)) throw wrong('the event', 'is no JSON object');
    const unknown = Object.keys(value).filter((name) => !known.includes(name));
    if (unknown.length > 0)
      throw wrong(unknown.join(', '), `is not known here; there are ${known.join(', ')}`);
    this.#values = value;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    if (value !== undefined && (typeof value !== 'string' || value === ''))
      throw wrong(name, 'must be text that is not empty');
    return value;
  }

  oneOf<const Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.text(name);
    if (value !== undefined && !(choices as readonly string[]).includes(value))
      throw wrong(name, `must be one of ${choices.join(', ')}`);
    return value as Choice | undefined;
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.length === 0 || value.some((item) => typeof item !== 'string'))
      throw wrong(name, 'must be a list of texts that is not empty');
    return value as readonly string[];
  }

  /** Greater than 0. */
  number(name: string): number | undefined {
    const value = this.#values[name];
    if (value !== undefined && !(typeof value === 'number' && Number.isFinite(value) && value > 0))
      throw wrong(name, 'must be a number greater than 0');
    return value;
  }

  flag(name: string): boolean {
    const value = this.#values[name];
    if (value !== undefined && typeof value !== 'boolean') throw wrong(name, 'must be true or false');
    return value === true;
  }

  /** ISO 8601 text, as milliseconds since 1970. */
  time(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const time = parseIsoTime(text);
    if (Number.isNaN(time)) throw wrong(name, 'must be a time as ISO 8601 text');
    return time;
  }

  where(name: string): Where | undefined {
    const value = this.#values[name];
    if (value === undefined) return undefined;
    try {
      return parseWhere(value);
    } catch (cause) {
      throw new DomainError(`${name}: ${messageOf(cause)}`, { code: 'E_EVENT', cause });
    }
  }

  /** Named so that an order for somebody else does no harm here. */
  pipeline(pipeline: AnyPipeline): void {
    const name = this.text('pipeline');
    if (name !== undefined && name !== pipeline.name)
      throw wrong('pipeline', `is ${name}, and this function belongs to ${pipeline.name}`);
  }
}

export function wrong(name: string, problem: string): DomainError {
  return new DomainError(`${name} ${problem}`, { code: 'E_EVENT' });
}
