/**
 * PostgreSQL keeps every text but one that has a NUL (U+0000). It is written as U+0001 U+0001, and U+0001 itself as U+0001 U+0002: no other text
 * is written so, and the order by UTF-8 bytes stays what it was. Lone surrogates, which are no UTF-8, become U+FFFD.
 */
export function toStored(text: string): string {
  const wellFormed = text.toWellFormed();
  return /[\0\u0001]/.test(wellFormed)
    ? wellFormed.replaceAll(/[\0\u0001]/g, (found) => (found === '\0' ? '\u0001\u0001' : '\u0001\u0002'))
    : wellFormed;
}

export function fromStored(stored: string): string {
  return stored.includes('\u0001')
    ? stored.replaceAll(/\u0001([\u0001\u0002])/g, (_, mark) => (mark === '\u0001' ? '\0' : '\u0001'))
    : stored;
}

/** JSON text for a column of type `jsonb`, which refuses the same characters also where they are escaped. */
export function toStoredJson(json: string): string {
  return json.replaceAll(/\\(u[0-9a-f]{4}|.)/g, (escape, what: string) => {
    if (what === 'u0000') return String.raw`\u0001\u0001`;
    if (what === 'u0001') return String.raw`\u0001\u0002`;
    return /^ud[89a-f]/.test(what) ? '\u{fffd}' : escape;
  });
}
