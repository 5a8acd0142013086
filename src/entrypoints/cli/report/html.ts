import { printable } from '../terminal/text.ts';

/** Markup that is safe to stand in a page: made by `html` alone. */
export interface Html {
  readonly markup: string;
}

type HtmlValue = Html | string | number | readonly Html[];

/** A template whose values are escaped, whatever they hold, unless they are markup themselves. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let markup = strings[0]!;
  for (const [at, value] of values.entries()) markup += markupOf(value) + strings[at + 1]!;
  return { markup };
}

const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for quoted attributes. Control characters and the like are shown, as on a terminal. */
export function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => references[character]!);
}

/**
 * JSON for the inside of a `<script>` element: the same value, without a character that the HTML parser could take for
 * an end, a comment or a reference.
 */
export function inlineJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function markupOf(value: HtmlValue): string {
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('');
}
