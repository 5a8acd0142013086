import { codeOf, generated, keptByKey } from '../generated-code.ts';
import { setField } from '../values/value-reader.ts';

/** The names of a message's fields, in their order. */
export interface MessageShape {
  readonly names: readonly string[];
  /** The same for the same names. */
  readonly key: string;
}

export type Message = Record<string, unknown>;
/** Message number `row` of those whose fields lie in columns. */
export type MessageMaker = (row: number) => Message;

type Columns = readonly (readonly unknown[])[];

/** Fewer messages take longer to compile for than they take without. */
export const COMPILED_FROM = 100;
/** With more names compiled code is no quicker. */
export const MAX_COMPILED_NAMES = 250;

const makers = new Map<string, (columns: Columns) => MessageMaker>();

export function shapeOf(names: readonly string[]): MessageShape {
  return { names, key: JSON.stringify(names) };
}

/** Makes `rows` messages of one shape out of columns, as objects with fixed keys where they are many. */
export function messageMaker({ names, key }: MessageShape, columns: Columns, rows: number): MessageMaker {
  if (rows >= COMPILED_FROM && names.length <= MAX_COMPILED_NAMES)
    return keptByKey(
      makers,
      key,
      () => generated(makerCode(names)) as (columns: Columns) => MessageMaker,
    )(columns);
  return (row) => {
    const message: Message = {};
    for (const [at, name] of names.entries()) setField(message, name, columns[at]?.[row]);
    return message;
  };
}

function makerCode(names: readonly string[]): string {
  // Without brackets it would be the prototype; with them the others would be slower.
  const fields = names.map((name, at) =>
    name === '__proto__' ? `['__proto__']: c${at}[row]` : `${codeOf(name)}: c${at}[row]`,
  );
  const columns = names.map((_, at) => `c${at}`);
  return `return ([${columns.join(', ')}]) => (row) => ({ ${fields.join(', ')} });`;
}
