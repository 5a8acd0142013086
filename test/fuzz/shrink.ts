export interface ShrinkBounds {
  readonly tries: number;
  readonly ms: number;
}

/**
 * A smaller input that fails in the same way: stretches are left out, large ones first, and the bytes that are left become
 * as plain as they can.
 */
export async function shrunk(
  input: Uint8Array,
  failsToo: (smaller: Uint8Array) => Promise<boolean>,
  { tries, ms }: ShrinkBounds,
): Promise<Uint8Array> {
  const until = performance.now() + ms;
  let left = tries;
  let smallest = input;
  const attempt = async (candidate: Uint8Array): Promise<boolean> => {
    if (left-- <= 0 || performance.now() > until || !(await failsToo(candidate))) return false;
    smallest = candidate;
    return true;
  };
  for (let size = Math.ceil(smallest.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length;) {
      const without = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      if (!(await attempt(new Uint8Array(without)))) at += size;
    }
  }
  for (let at = 0; at < smallest.length; at++) {
    if (smallest[at] === PLAIN) continue;
    const plainer = Uint8Array.from(smallest);
    plainer[at] = PLAIN;
    await attempt(plainer);
  }
  return smallest;
}

const PLAIN = '0'.charCodeAt(0);
