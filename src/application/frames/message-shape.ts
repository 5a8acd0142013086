import { setField } from '../values/value-reader.ts';

/** The names of a message's fields, in their order. */
export interface MessageShape {
  readonly names: readonly string[];
  /** The same for the same names. */
  readonly key: string;
}

export type Message = Record<string, unknown>;
/** The values of a message's fields, in the order of its shape. */
export type FieldValues = (message: Message) => unknown[];
/** Message number `row` of those whose fields lie in columns. */
export type MessageMaker = (row: number) => Message;

type Columns = readonly (readonly unknown[])[];

/** Compiling takes as long as a hundred messages without it, and more names than these it makes no quicker. */
const COMPILED_FROM = 100;
const MAX_COMPILED_NAMES = 250;
const MAX_KEPT = 64;

const readers = new Map<string, FieldValues>();
const makers = new Map<string, (columns: Columns) => MessageMaker>();

export function shapeOf(names: readonly string[]): MessageShape {
  return { names, key: JSON.stringify(names) };
}

/**
 * Reads the fields of messages of one shape. After some messages it is code for exactly these names: V8 then reads each from its place,
 * where `message[name]` looks it up (24 fields: 0.1 µs a message instead of 0.9).
 */
export function fieldValues({ names, key }: MessageShape): FieldValues {
  let left = COMPILED_FROM;
  let compiled: FieldValues | undefined;
  return (message) => {
    if (compiled !== undefined) return compiled(message);
    if (left-- === 0 && names.length <= MAX_COMPILED_NAMES)
      compiled = kept(readers, key, () => generate(readerCode(names)) as FieldValues);
    return names.map((name) => message[name]);
  };
}

/** Makes `rows` messages of one shape out of columns, as objects with fixed keys where they are many. */
export function messageMaker({ names, key }: MessageShape, columns: Columns, rows: number): MessageMaker {
  if (rows >= COMPILED_FROM && names.length <= MAX_COMPILED_NAMES)
    return kept(makers, key, () => generate(makerCode(names)) as (columns: Columns) => MessageMaker)(columns);
  return (row) => {
    const message: Message = {};
    for (const [at, name] of names.entries()) setField(message, name, columns[at]?.[row]);
    return message;
  };
}

function readerCode(names: readonly string[]): string {
  const values = names.map((name) => `message[${JSON.stringify(name)}]`);
  return `return (message) => [${values.join(', ')}];`;
}

function makerCode(names: readonly string[]): string {
  // Without brackets it would be the prototype; with them the others would be slower.
  const fields = names.map((name, at) =>
    name === '__proto__' ? `['__proto__']: c${at}[row]` : `${JSON.stringify(name)}: c${at}[row]`,
  );
  const columns = names.map((_, at) => `c${at}`);
  return `return ([${columns.join(', ')}]) => (row) => ({ ${fields.join(', ')} });`;
}

function generate(code: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- names go in as string literals alone
  return (new Function(code) as () => unknown)();
}

function kept<Made>(all: Map<string, Made>, key: string, make: () => Made): Made {
  let made = all.get(key);
  if (made === undefined) {
    made = make();
    const [oldest] = all.keys();
    if (oldest !== undefined && all.size >= MAX_KEPT) all.delete(oldest);
    all.set(key, made);
  }
  return made;
}
