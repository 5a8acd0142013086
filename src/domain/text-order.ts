/**
 * Compares as the UTF-8 bytes of two texts do, which is by code point: the order in which S3 lists keys and databases with binary collation
 * sort. JavaScript's own order, by UTF-16 code unit, differs where a character above U+FFFF meets one from U+E000 on.
 *
 * @returns negative where `a` comes first, positive where `b` does, 0 where they are the same
 */
export function compareUtf8(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointOrder(x) - codePointOrder(y);
  }
  return a.length - b.length;
}

function codePointOrder(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
