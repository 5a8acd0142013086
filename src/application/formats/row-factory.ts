import type { Row } from '../../domain/row.ts';

/** Makes rows with fixed keys from values in the same order. */
export type RowFactory = (values: readonly unknown[]) => Row;

/** @param names all different */
export function rowFactory(names: readonly string[]): RowFactory {
  return generateRowMaker(
    ['values'],
    names.map((name, i) => ({ name, value: `values[${i}]` })),
  ) as RowFactory;
}

/** One column of a generated row: `value` is code, and may use the parameters. */
export interface GeneratedColumn {
  readonly name: string;
  readonly value: string;
}

/**
 * Generates a maker of rows without a prototype, with the given columns in their order. Code is generated, so that
 * all rows share one hidden class: assigning by computed names costs three times as much.
 *
 * `Object.create(null)` and a literal with `__proto__: null` are dictionaries in V8, and `Object.setPrototypeOf` costs as much as
 * twenty columns. A spread with `__proto__: null` costs no more than `{}`: V8 copies the empty object to a hidden class
 * of its own, without a prototype. So a column `__proto__` is an ordinary one.
 *
 * @param before code that runs before each row; it may return something else instead
 */
export function generateRowMaker(
  parameters: readonly string[],
  columns: readonly GeneratedColumn[],
  before = '',
): Function {
  const code = [
    'const empty = {};',
    `return (${parameters.join(', ')}) => {`,
    before,
    '  const row = { ...empty, __proto__: null };',
    ...columns.map(({ name, value }) => `  row[${codeOf(name)}] = ${value};`),
    '  return row;',
    '};',
  ].join('\n');
  // oxlint-disable-next-line typescript/no-implied-eval -- names go in as string literals alone
  return (new Function(code) as () => Function)();
}

/**
 * Code for a string literal. JSON is one in JavaScript for every text, also with U+2028 and U+2029, so that no
 * column's name can become code.
 */
export function codeOf(text: string): string {
  return JSON.stringify(text);
}
