/** What is read by its codes is short. */
const MAX_CODES = 32;
const codes = new Uint8Array(MAX_CODES);

/** What stands for a character that is not ASCII: none of those that numbers and times are made of. */
const OTHER = 0xff;

/**
 * Reads text by a function that reads ASCII codes, so that there is one for text and for a file's bytes.
 *
 * @returns `NaN` for long text
 */
export function readCodes(
  text: string,
  read: (codes: Uint8Array, from: number, to: number) => number,
): number {
  const { length } = text;
  if (length > MAX_CODES) return Number.NaN;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    codes[i] = code < 0x80 ? code : OTHER;
  }
  return read(codes, 0, length);
}
