import { REFUSED, type Accumulator, type Kind, type KindFold } from './kind.ts';
import type { StateReader, StateWriter } from './state-bytes.ts';

class Counter implements Accumulator {
  #count = 0;

  add(): void {
    this.#count++;
  }

  write(out: StateWriter): void {
    out.count(this.#count);
  }
}

function counting(tag: number, accept: KindFold['accept']): Kind {
  const fold: KindFold = { accept, create: () => new Counter() };
  return {
    tag,
    fold: () => fold,
    merge: (a: StateReader, b: StateReader, out: StateWriter) => out.count(a.count() + b.count()),
    read: (state: StateReader) => state.count(),
  };
}

export const countKind = counting(1, () => true);

export const countIfKind = counting(2, (value) => {
  if (value === true) return true;
  return value === false || value === undefined || value === null ? undefined : REFUSED;
});
