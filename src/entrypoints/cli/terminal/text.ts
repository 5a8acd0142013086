import stringWidth from 'string-width';

/** More of a cell is never looked at: nobody reads it in a table, and measuring it costs. In UTF-16 code units. */
const LONGEST_CELL = 2_000;

const segmenter = new Intl.Segmenter('en');

/*
 * Control characters, lone surrogates, line and paragraph separators, and what turns the direction of text round. Data
 * that holds them could otherwise move the cursor, change a terminal's title or disguise what stands in a line.
 */
const harmful =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text on one line, with everything that could do something to a terminal shown as an escape: `\n`, `\x1b`. */
export function printable(text: string): string {
  return text.replace(harmful, (character) => {
    const code = character.charCodeAt(0);
    return (
      shortEscapes[character] ??
      (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`)
    );
  });
}

/** Columns that a text takes on a terminal; escape sequences of colours take none. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** The text where it fits, else its start and `…`; never more than `width` columns. */
export function cutToWidth(text: string, width: number): string {
  if (width <= 0) return '';
  if (text.length <= LONGEST_CELL && widthOf(text) <= width) return text;
  let kept = '';
  let taken = 0;
  for (const { segment } of segmenter.segment(text.slice(0, LONGEST_CELL))) {
    const columns = widthOf(segment);
    if (taken + columns > width - 1) break;
    kept += segment;
    taken += columns;
  }
  return `${kept}…`;
}

export function padToWidth(text: string, width: number, align: 'left' | 'right'): string {
  const padding = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'right' ? padding + text : text + padding;
}
