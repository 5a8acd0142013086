import { castTo, type Cast } from '../../domain/cast.ts';
import { columnNames, columnType, type Columns } from '../../domain/columns.ts';
import { DomainError } from '../../domain/errors.ts';
import { columnsOfWhere, compileWhere } from '../../domain/predicate.ts';
import type { Row } from '../../domain/row.ts';
import { codeOf, generated } from '../generated-code.ts';
import type { ReadOptions } from './decoder.ts';
import { generateRowMaker } from './row-factory.ts';

/** Makes what a pipeline asked for out of what a decoder read. */
export interface RowShaper {
  /**
   * Columns that have to be decoded: the declared ones and those that `where` names, without those that the path
   * gives; `undefined`: all that there are.
   */
  readonly neededColumns: readonly string[] | undefined;

  /**
   * For formats whose header or schema names the columns.
   *
   * @param isData whether the names may be a row: the first line of a CSV file is a header by declaration only, and what rows hold is
   *   not told in messages
   * @throws DomainError `E_COLUMN_MISSING` where a declared column is in neither object nor path
   */
  requireColumns(available: readonly string[], isData?: boolean): void;

  /**
   * The row with its path columns (they win), cast to the declared types, and without the columns that only `where`
   * needed; `undefined` where `where` refuses it. Columns that `where` names are cast before it is asked, the others after it, so that a
   * row that nobody wants never fails. A declared column that the row lacks is `null`.
   *
   * @param decoded the needed columns, without a prototype; it is given away, and may be what comes back
   * @throws DomainError `E_VALUE_TYPE`
   */
  shape(decoded: Row): Row | undefined;
}

export function createRowShaper(options: Pick<ReadOptions, 'columns' | 'where' | 'pathColumns'>): RowShaper {
  const { columns, where, pathColumns } = options;
  const pathNames = Object.keys(pathColumns);
  const inPath = new Set(pathNames);
  const tested = where === undefined ? [] : columnsOfWhere(where);
  const keeps = where === undefined ? undefined : compileWhere(where);
  const declared = columns === undefined ? undefined : [...new Set(columnNames(columns))];

  const neededColumns =
    declared === undefined
      ? undefined
      : [...new Set([...declared, ...tested])].filter((name) => !inPath.has(name));
  const isAsDeclared =
    neededColumns?.length === declared?.length && !declared?.some((name) => inPath.has(name));
  const testedFirst = castsOf(columns, tested);
  const finish =
    declared === undefined
      ? undefined
      : finisher(columns, declared, new Set(tested), isAsDeclared ? 'in place' : 'copy');

  return {
    neededColumns,

    requireColumns(available, isData = false) {
      if (declared === undefined) return;
      const there = new Set(available);
      const missing = declared.filter((name) => !there.has(name) && !inPath.has(name));
      if (missing.length === 0) return;
      const others = isData
        ? `the first row names ${available.length} others, sluice inspect shows them`
        : `there are: ${listNames(available)}`;
      throw new DomainError(
        `no column ${missing.map((name) => JSON.stringify(name)).join(', ')}; ${others}`,
        {
          code: 'E_COLUMN_MISSING',
        },
      );
    },

    shape(decoded) {
      if (pathNames.length > 0) for (const name of pathNames) decoded[name] = pathColumns[name];
      if (testedFirst.length > 0) for (const [name, cast] of testedFirst) decoded[name] = cast(decoded[name]);
      if (keeps !== undefined && !keeps(decoded)) return undefined;
      return finish === undefined ? decoded : finish(decoded);
    },
  };
}

function castsOf(columns: Columns | undefined, names: readonly string[]): (readonly [string, Cast])[] {
  return [...new Set(names)].flatMap((name) => {
    const type = columnType(columns, name);
    return type === undefined ? [] : [[name, castTo(type, name)] as const];
  });
}

/** Casts what is left to cast, fills in `null` and, copying, leaves out what is not declared. Generated like the row factory. */
function finisher(
  columns: Columns | undefined,
  declared: readonly string[],
  alreadyCast: ReadonlySet<string>,
  into: 'in place' | 'copy',
): (row: Row) => Row {
  const casts: Cast[] = [];
  const finished = declared.map((name) => {
    const type = alreadyCast.has(name) ? undefined : columnType(columns, name);
    const column = `decoded[${codeOf(name)}]`;
    if (type === undefined) return { name, value: `${column} ?? null` };
    const cast = `casts[${casts.push(castTo(type, name)) - 1}](${column})`;
    // Text is text already: asking here spares a call.
    return { name, value: type === 'string' ? `typeof ${column} === 'string' ? ${column} : ${cast}` : cast };
  });
  if (into === 'copy') {
    const copy = generateRowMaker(['decoded', 'casts'], finished) as (
      decoded: Row,
      casts: readonly Cast[],
    ) => Row;
    return (decoded) => copy(decoded, casts);
  }
  const statements = finished.map(({ name, value }) => `decoded[${codeOf(name)}] = ${value};`);
  const finish = generated(
    ['return (decoded, casts) => {', ...statements, 'return decoded;', '};'].join('\n'),
  ) as (decoded: Row, casts: readonly Cast[]) => Row;
  return (decoded) => finish(decoded, casts);
}

const LISTED_COLUMNS = 20;

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, LISTED_COLUMNS).map((name) => JSON.stringify(name));
  return names.length > LISTED_COLUMNS
    ? `${shown.join(', ')} and ${names.length - LISTED_COLUMNS} more`
    : shown.join(', ');
}
