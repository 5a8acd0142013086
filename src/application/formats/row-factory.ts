import type { Row } from '../../domain/row.ts';
import { codeOf, generated, keptByKey } from '../generated-code.ts';

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

/** Above it copying an empty object is slower, as its columns come to lie outside of it and are moved as they grow. */
const MAX_COPIED_COLUMNS = 32;

/** The most columns that V8 lays inside of an object. */
const MAX_COLUMNS_INSIDE = 252;

/** After so many objects of a constructor V8 settles how much room its objects get. */
const SAMPLES = 16;

/**
 * Generates a maker of rows without a prototype, with the given columns in their order. Code is generated, so that
 * all rows share one hidden class: assigning by computed names costs three times as much.
 *
 * `Object.create(null)` and a literal with `__proto__: null` are dictionaries in V8, and `Object.setPrototypeOf` costs as much as
 * twenty columns. A spread with `__proto__: null` costs no more than `{}`: V8 copies the empty object to a hidden class
 * of its own, without a prototype. Many columns are worth `setPrototypeOf`, called while the object is empty, since it then stays
 * fast: the object comes from a constructor whose samples have as many columns, so that there is room for them inside. More than fit
 * inside are best written as a literal that loses its prototype (600 columns: a third of the time).
 *
 * @param before code that runs before each row; it may return something else instead
 * @param setup code that runs once
 */
export function generateRowMaker(
  parameters: readonly string[],
  columns: readonly GeneratedColumn[],
  before = '',
  setup = '',
): Function {
  const signature = `return (${parameters.join(', ')}) => {`;
  if (columns.length > MAX_COLUMNS_INSIDE) {
    // Without brackets `__proto__` would be the prototype.
    const properties = columns.map(({ name, value }) =>
      name === '__proto__' ? `['__proto__']: ${value}` : `${codeOf(name)}: ${value}`,
    );
    const literal = `{ ${properties.join(',\n')} }`;
    return compiled([setup, signature, before, `return Object.setPrototypeOf(${literal}, null);`, '};']);
  }
  const assigned = columns.map(({ name, value }) => `row[${codeOf(name)}] = ${value};`);
  return columns.length <= MAX_COPIED_COLUMNS
    ? compiled([
        'const empty = {};',
        setup,
        signature,
        before,
        'const row = { ...empty, __proto__: null };',
        ...assigned,
        'return row;',
        '};',
      ])
    : compiled([
        ...rowWithRoom(columns.length),
        setup,
        signature,
        before,
        'const row = Object.setPrototypeOf(new Row(false), null);',
        ...assigned,
        'return row;',
        '};',
      ]);
}

const makers = new Map<string, Function>();

/**
 * Makers are kept by their code, for the next object with the same columns: V8 compiles equal code once, but a second constructor
 * makes rows of a second hidden class, and after four of them the shared code has become slow for good (80 columns read at half the speed).
 */
function compiled(lines: readonly string[]): Function {
  const code = lines.join('\n');
  return keptByKey(makers, code, () => generated(code) as Function);
}

/** Code for a constructor of empty objects with room for so many columns inside. */
function rowWithRoom(columns: number): string[] {
  return [
    'function Row(isSample) {',
    '  if (isSample) {',
    ...Array.from({ length: columns }, (_, i) => `    this.column${i} = null;`),
    '  }',
    '}',
    `for (let i = 0; i < ${SAMPLES}; i++) new Row(true);`,
  ];
}
