import type { Row } from '../../domain/row.ts';

/** Makes rows with fixed keys from values in the same order. */
export type RowFactory = (values: readonly unknown[]) => Row;

/**
 * A maker of rows without a prototype whose keys are the given names, in their order. Code is generated, so that
 * all rows share one hidden class: assigning by computed names costs three times as much.
 *
 * @param names all different
 */
export function rowFactory(names: readonly string[]): RowFactory {
  const assignments = names.map((name, i) => `row[${codeOf(name)}] = values[${i}];`);
  return new Function(
    'values',
    [`const row = ${NEW_ROW};`, ...assignments, 'return row;'].join('\n'),
  ) as RowFactory;
}

/**
 * Code for an empty row. An object that loses its prototype while it is empty stays fast; one from `Object.create(null)` is a
 * dictionary from the start.
 */
export const NEW_ROW = 'Object.setPrototypeOf({}, null)';

/**
 * Code for a string literal. JSON is one in JavaScript for every text, also with U+2028 and U+2029, so that no
 * column's name can become code.
 */
export function codeOf(text: string): string {
  return JSON.stringify(text);
}
