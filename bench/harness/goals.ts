import type { Goal } from './contender.ts';

/** How often as fast one is as another, on the clock or by CPU time. */
export function faster(of: string, over: string, atLeast: number, by: 'wall' | 'cpu' = 'wall'): Goal {
  return {
    says: `${of}: at least ${atLeast} × ${over}${by === 'cpu' ? ', by CPU time' : ''}`,
    value: (round) => round(of)[by] / round(over)[by],
    atLeast,
  };
}

/** Amount a second on the clock. */
export function speed(of: string, unit: string, atLeast: number): Goal {
  return {
    says: `${of}: at least ${atLeast.toLocaleString('en')} ${unit}/s`,
    value: (round) => round(of).wall,
    atLeast,
  };
}

export function memory(of: string, limit: number): Goal {
  return {
    says: `${of}: at most ${limit} MiB`,
    value: (round) => round(of).measured.peakBytes / 2 ** 20,
    atMost: limit,
  };
}

/** How many times as long one takes as another. */
export function within(factor: number, of: string, over: string): Goal {
  return {
    says: `${of}: within ${factor} × the time of ${over}`,
    value: (round) => round(over).wall / round(of).wall,
    atMost: factor,
  };
}

/** A count over what it should be. */
export function share(says: string, of: string, count: string, whole: number, limit: number): Goal {
  return {
    says: `${says}: at most ${limit} ×`,
    value: (round) => (round(of).measured.counts[count] ?? Number.NaN) / whole,
    atMost: limit,
  };
}

/** A count; `Infinity` as its limit: it is only told. */
export function most(says: string, of: string, count: string, limit: number): Goal {
  return {
    says: limit === Infinity ? says : `${says}: at most ${limit}`,
    value: (round) => round(of).measured.counts[count] ?? Number.NaN,
    atMost: limit,
  };
}
