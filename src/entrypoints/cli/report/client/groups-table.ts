import type { ClientData } from '../client-data.ts';
import type { PageDocument, PageElement } from './browser.ts';
import type { Formats } from './formats.ts';

/** The table of groups: sorted by a click on a title, searched, and shown in pieces. */
export function createGroupsTable(document: PageDocument, data: ClientData, formats: Formats): void {
  const element = (id: string) => document.getElementById(id);
  const table = element('groups-table');
  const search = element('groups-search');
  const status = element('groups-status');
  const more = element('groups-more');
  if (table === null || search === null || status === null || more === null) return;
  const create = (tag: string, text: string, className = ''): PageElement => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (className !== '') made.className = className;
    return made;
  };

  const firstPiece = 25;
  const nextPieces = 100;
  const withFindings = data.findings.some((list) => list.length > 0);
  // -1: by name; otherwise the number of a column. `null`: as they came.
  let sorted: { readonly column: number; readonly descending: boolean } | null = null;
  let shown = firstPiece;

  // Measures of many values have their name above them.
  const headCell = (text: string, rows: number, columns: number, className: string): PageElement => {
    const cell = create('th', text, className);
    cell.setAttribute('scope', columns > 1 ? 'colgroup' : 'col');
    if (rows > 1) cell.setAttribute('rowspan', String(rows));
    if (columns > 1) cell.setAttribute('colspan', String(columns));
    return cell;
  };
  const sortedCells = new Map<number, PageElement>();
  const sortCell = (column: number, title: string, rows: number): PageElement => {
    const button = create('button', title);
    button.setAttribute('type', 'button');
    const cell = headCell('', rows, 1, column === -1 ? 'name' : 'number');
    cell.append(button);
    sortedCells.set(column, cell);
    button.addEventListener('click', () => {
      // Numbers are wanted from the largest, names from A.
      const descending = sorted?.column === column ? !sorted.descending : column >= 0;
      sorted = { column, descending };
      for (const [other, otherCell] of sortedCells) {
        if (other === column) otherCell.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
        else otherCell.removeAttribute('aria-sort');
      }
      fill();
    });
    return cell;
  };
  const depth = data.measures.some(({ columns }) => columns.length > 1) ? 2 : 1;
  const upper = document.createElement('tr');
  const lower = document.createElement('tr');
  upper.append(sortCell(-1, 'group', depth));
  for (const { name, columns } of data.measures) {
    if (columns.length === 1) {
      upper.append(sortCell(columns[0]!, name, depth));
      continue;
    }
    upper.append(headCell(name, 1, columns.length, 'span'));
    // What follows the last dot: `p50` of `delay.p50`.
    for (const column of columns)
      lower.append(sortCell(column, data.columns[column]!.title.split('.').at(-1)!, 1));
  }
  if (withFindings) upper.append(headCell('findings', depth, 1, ''));
  const head = document.createElement('thead');
  head.append(upper);
  if (depth > 1) head.append(lower);
  const body = document.createElement('tbody');
  table.replaceChildren(head, body);

  const orderOf = (value: number | string | null, other: number | string | null): number => {
    if (typeof value === 'number' && typeof other === 'number') return value - other;
    const text = String(value);
    const otherText = String(other);
    return text < otherText ? -1 : text > otherText ? 1 : 0;
  };

  function matching(): number[] {
    const wanted = search!.value.trim().toLowerCase();
    const rows = [...data.groups.keys()].filter((row) => {
      if (wanted === '' || data.groups[row]!.toLowerCase().includes(wanted)) return true;
      return data.findings[row]!.some(({ kind }) => kind.toLowerCase().includes(wanted));
    });
    if (sorted === null) return rows;
    const { column, descending } = sorted;
    const values = column === -1 ? data.groups : data.columns[column]!.values;
    return rows.sort((a, b) => {
      const value = values[a] ?? null;
      const other = values[b] ?? null;
      // What is not there stands last, whichever way.
      if (value === null || other === null) return Number(value === null) - Number(other === null);
      return (descending ? -1 : 1) * orderOf(value, other);
    });
  }

  function fill(): void {
    const rows = matching();
    body.replaceChildren(
      ...rows.slice(0, shown).map((row) => {
        const line = document.createElement('tr');
        const name = create('th', '', 'name');
        name.setAttribute('scope', 'row');
        name.append(create('bdi', data.groups[row] === '' ? '(empty)' : data.groups[row]!));
        line.append(name);
        for (const { values, decimals } of data.columns)
          line.append(create('td', formats.value(values[row], decimals), 'number'));
        if (withFindings) {
          const cell = create('td', '', 'findings');
          for (const { kind, severity, message } of data.findings[row]!) {
            const mark = create('span', kind, `badge ${severity}`);
            cell.append(mark, create('bdi', ` ${message} `));
          }
          line.append(cell);
        }
        return line;
      }),
    );
    const left = rows.length - shown;
    more!.hidden = left <= 0;
    more!.textContent = `Show ${formats.count(Math.min(left, nextPieces))} more`;
    status!.textContent =
      rows.length === 0
        ? 'No group matches.'
        : `${formats.count(Math.min(shown, rows.length))} of ${formats.count(rows.length)} groups`;
  }

  search.addEventListener('input', () => {
    shown = firstPiece;
    fill();
  });
  more.addEventListener('click', () => {
    shown += nextPieces;
    fill();
  });
  fill();
}
