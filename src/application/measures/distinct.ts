import { hashValue, type Hash64 } from './hash.ts';
import { REFUSED, type Accumulator, type Kind, type KindFold } from './kind.ts';
import { corrupt, type StateReader, type StateWriter } from './state-bytes.ts';

// HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) with the sparse form of Heule, Nunkesser and Hall (2013) and
// the estimator of Ertl (2017), which needs no tables of biases.
//
// An entry is what both forms are made of: the first 26 bits of the hash, and 1 + the number of zero bits after them.
// Of entries with the same 26 bits the largest counts. A register is found from an entry as from the whole hash,
// so whether a state is sparse depends only on how many entries all values together have.

const PRECISION = 12;
const REGISTERS = 1 << PRECISION;
/** Bits of the hash behind those that choose the register. */
const RANK_BITS = 64 - PRECISION;

const SPARSE_PRECISION = 26;
const SPARSE_RANK_BITS = 64 - SPARSE_PRECISION;
/** An entry's rank is its lowest six bits. */
const ENTRY_RANK_BITS = 32 - SPARSE_PRECISION;
const ENTRY_RANK_MASK = (1 << ENTRY_RANK_BITS) - 1;
/** Bits of an entry that belong to the rank in a register. */
const BETWEEN = SPARSE_PRECISION - PRECISION;

const ENTRY_BYTES = 4;
/** Above it the registers, a byte each, are smaller. */
export const MAX_ENTRIES = REGISTERS / ENTRY_BYTES;

const SPARSE = 0;
const DENSE = 1;

function entryOf({ high, low }: Hash64): number {
  const left = high & ENTRY_RANK_MASK;
  const zeros = left !== 0 ? Math.clz32(left) - SPARSE_PRECISION : ENTRY_RANK_BITS + Math.clz32(low);
  return ((high & ~ENTRY_RANK_MASK) | (zeros + 1)) >>> 0;
}

function addToRegisters(registers: Uint8Array, offset: number, entry: number): void {
  const register = offset + (entry >>> (32 - PRECISION));
  const between = (entry >>> ENTRY_RANK_BITS) & ((1 << BETWEEN) - 1);
  const rank = between === 0 ? BETWEEN + (entry & ENTRY_RANK_MASK) : Math.clz32(between) - (32 - BETWEEN) + 1;
  if (rank > registers[register]!) registers[register] = rank;
}

/** Of sorted entries, the last with the same 26 bits is the largest. Returns how many are left at the front. */
function keepLargest(entries: Uint32Array): number {
  let kept = 0;
  for (let i = 0; i < entries.length; i++) {
    const next = i + 1;
    if (next === entries.length || entries[next]! >>> ENTRY_RANK_BITS !== entries[i]! >>> ENTRY_RANK_BITS)
      entries[kept++] = entries[i]!;
  }
  return kept;
}

class Distinct implements Accumulator {
  // Entries as they come, twice and unsorted, until it pays to sort them.
  #entries: number[] = [];
  #sortAt = 32;
  #registers: Uint8Array | undefined;

  add(entry: number): void {
    if (this.#registers !== undefined) return addToRegisters(this.#registers, 0, entry);
    if (this.#entries.length >= this.#sortAt) this.#compact();
    if (this.#registers !== undefined) addToRegisters(this.#registers, 0, entry);
    else this.#entries.push(entry);
  }

  #compact(): void {
    const sorted = new Uint32Array(this.#entries).sort();
    const kept = keepLargest(sorted);
    if (kept > MAX_ENTRIES) {
      this.#registers = new Uint8Array(REGISTERS);
      for (let i = 0; i < kept; i++) addToRegisters(this.#registers, 0, sorted[i]!);
      this.#entries = [];
    } else {
      // A loop: to iterate over a typed array takes several times as long, and most groups of a frame are small.
      this.#entries.length = kept;
      for (let i = 0; i < kept; i++) this.#entries[i] = sorted[i]!;
      this.#sortAt = Math.max(32, 2 * kept);
    }
  }

  write(out: StateWriter): void {
    if (this.#entries.length > 1) this.#compact();
    writeHead(out, this.#registers === undefined ? SPARSE : DENSE);
    if (this.#registers !== undefined) return out.copy(this.#registers, 0, REGISTERS);
    out.count(this.#entries.length);
    for (const entry of this.#entries) writeEntry(out, entry);
  }
}

const hash: Hash64 = { high: 0, low: 0 };

const distinctFold: KindFold = {
  accept(value) {
    if (value === undefined || value === null) return undefined;
    return hashValue(value, hash) ? entryOf(hash) : REFUSED;
  },
  create: () => new Distinct(),
};

export const distinctKind: Kind = {
  tag: 7,
  fold: () => distinctFold,
  merge,
  read(state) {
    const { form, count, start } = readBody(state);
    return form === SPARSE ? count : estimate(state.bytes, start);
  },
};

interface Body {
  readonly form: number;
  /** Entries, where it is sparse. */
  readonly count: number;
  readonly start: number;
}

function writeHead(out: StateWriter, form: number): void {
  out.byte(PRECISION);
  out.byte(form);
}

function writeEntry(out: StateWriter, entry: number): void {
  out.reserve(ENTRY_BYTES);
  out.bytes[out.at++] = entry >>> 24;
  out.bytes[out.at++] = entry >>> 16;
  out.bytes[out.at++] = entry >>> 8;
  out.bytes[out.at++] = entry;
}

function entryAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function readBody(state: StateReader): Body {
  if (state.byte() !== PRECISION) throw corrupt('a distinct count has another precision');
  const form = state.byte();
  if (form === SPARSE) {
    const count = state.count();
    if (count > MAX_ENTRIES) throw corrupt('a distinct count has too many entries');
    const start = state.skip(count * ENTRY_BYTES);
    checkEntries(state.bytes, start, count);
    return { form, count, start };
  }
  if (form !== DENSE) throw corrupt('a distinct count has an unknown form');
  const start = state.skip(REGISTERS);
  for (let i = start; i < start + REGISTERS; i++) {
    if (state.bytes[i]! > RANK_BITS + 1) throw corrupt('a register is out of range');
  }
  return { form, count: 0, start };
}

function checkEntries(bytes: Uint8Array, start: number, count: number): void {
  let before = -1;
  for (let i = 0, at = start; i < count; i++, at += ENTRY_BYTES) {
    const entry = entryAt(bytes, at);
    const rank = entry & ENTRY_RANK_MASK;
    if (entry >>> ENTRY_RANK_BITS <= before || rank === 0 || rank > SPARSE_RANK_BITS + 1)
      throw corrupt('entries are out of order or range');
    before = entry >>> ENTRY_RANK_BITS;
  }
}

function merge(a: StateReader, b: StateReader, out: StateWriter): void {
  const left = readBody(a);
  const right = readBody(b);
  if (left.form === DENSE) return mergeIntoRegisters(a, left, b, right, out);
  if (right.form === DENSE) return mergeIntoRegisters(b, right, a, left, out);
  const entries = new Uint32Array(left.count + right.count);
  let count = 0;
  let i = left.start;
  let j = right.start;
  const iEnd = i + left.count * ENTRY_BYTES;
  const jEnd = j + right.count * ENTRY_BYTES;
  while (i < iEnd && j < jEnd) {
    const x = entryAt(a.bytes, i);
    const y = entryAt(b.bytes, j);
    const difference = (x >>> ENTRY_RANK_BITS) - (y >>> ENTRY_RANK_BITS);
    entries[count++] = difference < 0 || (difference === 0 && x >= y) ? x : y;
    if (difference <= 0) i += ENTRY_BYTES;
    if (difference >= 0) j += ENTRY_BYTES;
  }
  for (; i < iEnd; i += ENTRY_BYTES) entries[count++] = entryAt(a.bytes, i);
  for (; j < jEnd; j += ENTRY_BYTES) entries[count++] = entryAt(b.bytes, j);
  if (count <= MAX_ENTRIES) {
    writeHead(out, SPARSE);
    out.count(count);
    for (let at = 0; at < count; at++) writeEntry(out, entries[at]!);
    return;
  }
  writeHead(out, DENSE);
  out.reserve(REGISTERS);
  out.bytes.fill(0, out.at, out.at + REGISTERS);
  for (let at = 0; at < count; at++) addToRegisters(out.bytes, out.at, entries[at]!);
  out.at += REGISTERS;
}

function mergeIntoRegisters(
  dense: StateReader,
  { start }: Body,
  other: StateReader,
  body: Body,
  out: StateWriter,
): void {
  writeHead(out, DENSE);
  const to = out.at;
  out.copy(dense.bytes, start, REGISTERS);
  if (body.form === SPARSE) {
    for (let i = 0, at = body.start; i < body.count; i++, at += ENTRY_BYTES)
      addToRegisters(out.bytes, to, entryAt(other.bytes, at));
    return;
  }
  for (let i = 0; i < REGISTERS; i++) {
    const rank = other.bytes[body.start + i]!;
    if (rank > out.bytes[to + i]!) out.bytes[to + i] = rank;
  }
}

/** Ertl 2017, algorithm 6: unbiased from 0 to far beyond 2^53, without switching between formulas. */
function estimate(registers: Uint8Array, start: number): number {
  const withRank = new Uint32Array(RANK_BITS + 2);
  for (let i = start; i < start + REGISTERS; i++) withRank[registers[i]!]!++;
  let z = REGISTERS * tau(1 - withRank[RANK_BITS + 1]! / REGISTERS);
  for (let rank = RANK_BITS; rank >= 1; rank--) z = 0.5 * (z + withRank[rank]!);
  z += REGISTERS * sigma(withRank[0]! / REGISTERS);
  return Math.round((REGISTERS * REGISTERS) / (2 * Math.LN2 * z));
}

function sigma(fraction: number): number {
  if (fraction === 1) return Infinity;
  let x = fraction;
  let y = 1;
  let z = x;
  for (let before = NaN; z !== before; y += y) {
    x *= x;
    before = z;
    z += x * y;
  }
  return z;
}

function tau(fraction: number): number {
  if (fraction === 0 || fraction === 1) return 0;
  let x = fraction;
  let y = 1;
  let z = 1 - x;
  for (let before = NaN; z !== before;) {
    x = Math.sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) ** 2 * y;
  }
  return z / 3;
}
