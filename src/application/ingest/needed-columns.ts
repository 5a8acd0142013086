import { emptyRow, type Row } from '../../domain/row.ts';
import type { RowShaper } from '../formats/row-shaper.ts';

/**
 * The columns of a message from elsewhere that the pipeline reads, as a decoder would give them. A copy: shaping changes
 * what it is given, and where the message fails it is kept as it came.
 */
export function neededOf(arrived: Row, { neededColumns }: Pick<RowShaper, 'neededColumns'>): Row {
  const row = emptyRow();
  for (const name of neededColumns ?? Object.keys(arrived)) {
    if (Object.hasOwn(arrived, name)) row[name] = arrived[name];
  }
  return row;
}
