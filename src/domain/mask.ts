/**
 * Which fields of rows and messages are masked in what a failure keeps. A path names a field, a dot goes into what it holds, and in a list into
 * every item: `email`, `address.street`, `passengers.name`. What the pipeline itself sends and measures is not masked.
 */
export interface Mask {
  /** Fields of rows; where columns are declared, of these. Left out: a failure keeps no row. `[]`: whole rows. */
  readonly rows?: readonly string[];
  /** Fields of messages. Left out: a failure keeps no message, for nobody knows where `transform` put what was masked in its row. */
  readonly messages?: readonly string[];
}

class Masked {
  toString(): string {
    return '[masked]';
  }

  toJSON(): string {
    return '[masked]';
  }
}

/** Stands for a masked value. No text, so that it is never taken for one: who finds it knows that what he has is not whole. */
export const MASKED: object = Object.freeze(new Masked());

/**
 * A copy of plain data with the fields masked that the paths name. What is `null` shows that there is nothing. A path that leads into something that
 * is neither object nor list (JSON text that was not parsed) masks all of it: what is in there cannot be told.
 */
export function maskFields(value: unknown, paths: readonly string[]): unknown {
  return paths.length === 0 ? value : maskIn(value, paths);
}

function maskIn(value: unknown, paths: readonly string[]): unknown {
  if (value === null || value === undefined) return value;
  if (Array.isArray(value)) return value.map((item: unknown) => maskIn(item, paths));
  if (typeof value !== 'object' || !isPlain(value)) return MASKED;
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [name, field] of Object.entries(value)) copy[name] = maskField(name, field, paths);
  return copy;
}

function maskField(name: string, field: unknown, paths: readonly string[]): unknown {
  if (paths.includes(name)) return field === null || field === undefined ? field : MASKED;
  // The name itself may have dots: every reading of a path counts.
  const inside = paths
    .filter((path) => path.startsWith(`${name}.`))
    .map((path) => path.slice(name.length + 1));
  return inside.length === 0 ? field : maskIn(field, inside);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Those of another realm are plain, too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Where in plain data something is masked: `address.street`, `passengers.0.name`; one empty path where all of it is. */
export function maskedFields(value: unknown): readonly string[] {
  if (value === MASKED) return [''];
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([name, field]) =>
    maskedFields(field).map((inside) => (inside === '' ? name : `${name}.${inside}`)),
  );
}
