/**
 * MurmurHash3, 32 bits (Austin Appleby, 2011), over a string's UTF-16 code units, two bytes each, little end
 * first. Stable for ever: partitions depend on it.
 */
export function murmur3(text: string, seed = 0): number {
  let hash = seed | 0;
  const pairs = text.length >> 1;
  for (let pair = 0; pair < pairs; pair++) {
    const at = pair * 2;
    hash =
      Math.imul(rotate(hash ^ scramble(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16)), 13), 5) +
      0xe6546b64;
  }
  if (text.length & 1) hash ^= scramble(text.charCodeAt(text.length - 1));
  hash ^= text.length * 2;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
  return Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function rotate(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
