import { ValueReader } from '../values/value-reader.ts';
import { ValueWriter } from '../values/value-writer.ts';
import {
  DICTIONARY,
  FLOAT64,
  INT16,
  INT32,
  INT8,
  INTEGERS,
  MAX_DISTINCT,
  Snapshot,
  TEXT,
  VALUES,
  type ColumnValue,
} from './packed-column.ts';
import { readColumn } from './packed-column-reader.ts';

const INITIAL_ITEMS = 32;
const NO_NUMBERS = new Float64Array();
const NO_INDEXES = new Uint8Array();

/** A column whose texts hardly repeat is no dictionary: so many may differ, and a quarter of all. */
const FEW_DISTINCT = 64;

type Holding = 'empty' | 'dictionary' | 'text' | 'numbers' | 'values';

/** Collects the values of one field, and writes them as `packed-column.ts` says. It can be used again. */
export class ColumnWriter {
  /** What it holds so far; `empty`: nothing. */
  #holds: Holding = 'empty';
  /** Of texts; in a dictionary of those that differ. */
  readonly #lengths = new ValueWriter(0);
  #bytes = new ValueWriter(0);
  readonly #dictionary = new Map<string | null, number>();
  /** Of each text in the dictionary, how many bytes it has more than UTF-16 units. */
  #surpluses: number[] = [];
  #indexes = NO_INDEXES;
  /** UTF-16 units of texts that are in the dictionary already. */
  #spared = 0;
  #numbers = NO_NUMBERS;
  /** Of numbers or texts. */
  #count = 0;
  #areInt32 = true;
  #surplus = 0;

  /**
   * Adds item `at` of every row: one loop for each kind of value, since choosing for every value costs more than adding it.
   *
   * @returns how many bytes the texts among them have more than UTF-16 units; as many where they repeat, since they may have to be written one by one
   */
  add(rows: readonly (readonly ColumnValue[])[], at: number): number {
    this.#surplus = 0;
    for (let row = 0; row < rows.length;) {
      switch (this.#holds) {
        case 'numbers':
          row = this.#addNumbers(rows, at, row);
          break;
        case 'dictionary':
          row = this.#addToDictionary(rows, at, row);
          break;
        case 'text':
          row = this.#addTexts(rows, at, row);
          break;
        case 'values':
          row = this.#addValues(rows, at, row);
          break;
        default: {
          const value = (rows[row] as readonly ColumnValue[])[at];
          this.#holds =
            typeof value === 'number'
              ? 'numbers'
              : typeof value === 'string' || value === null
                ? 'dictionary'
                : 'values';
        }
      }
    }
    return this.#surplus;
  }

  /** Appends the column, and empties it. */
  writeTo(body: ValueWriter): void {
    // A dictionary has a byte for each text; what follows from the values alone is whether it is worth that.
    if (this.#holds === 'dictionary' && this.#spared <= this.#count) this.#becomeText();
    this.#writeHeld(body);
    this.#holds = 'empty';
    this.#lengths.truncate(0);
    this.#bytes.truncate(0);
    this.#dictionary.clear();
    this.#surpluses = [];
    this.#spared = 0;
    this.#count = 0;
    this.#areInt32 = true;
  }

  #writeHeld(body: ValueWriter): void {
    switch (this.#holds) {
      case 'numbers':
        this.#writeNumbers(body);
        break;
      case 'dictionary':
        body.writeVarint(DICTIONARY);
        body.writeVarint(this.#dictionary.size);
        this.#writeTexts(body);
        body.append(this.#indexes.subarray(0, this.#count));
        break;
      case 'text':
        body.writeVarint(TEXT);
        this.#writeTexts(body);
        break;
      default:
        body.writeVarint(VALUES);
        body.append(this.#bytes.bytes());
    }
  }

  #writeTexts(body: ValueWriter): void {
    body.append(this.#lengths.bytes());
    body.writeVarint(this.#bytes.length);
    body.append(this.#bytes.bytes());
  }

  /** @returns the first row whose value is of another kind; the column holds values from there on */
  #addNumbers(rows: readonly (readonly ColumnValue[])[], at: number, from: number): number {
    this.#numbers = withRoom(this.#numbers, this.#count, rows.length - from);
    const numbers = this.#numbers;
    let count = this.#count;
    let areInt32 = this.#areInt32;
    let row = from;
    for (; row < rows.length; row++) {
      const value = (rows[row] as readonly ColumnValue[])[at];
      if (typeof value !== 'number') break;
      // Adding 0 makes -0 the same as 0. NaN has many bit patterns; equal values must have equal bytes.
      numbers[count++] = Number.isNaN(value) ? Number.NaN : value + 0;
      if ((value | 0) !== value) areInt32 = false;
    }
    this.#count = count;
    this.#areInt32 = areInt32;
    if (row < rows.length) this.#becomeValues();
    return row;
  }

  /**
   * Texts that repeat (states, currencies, places) take a byte each, and whoever reads them gets one string for all: a quarter of the
   * bytes of a frame before it is compressed.
   *
   * @returns the first row whose value is no text or null, or is one too many (the column holds text from there on), or that UTF-8 cannot hold
   */
  #addToDictionary(rows: readonly (readonly ColumnValue[])[], at: number, from: number): number {
    this.#indexes = withRoom(this.#indexes, this.#count, rows.length - from);
    const indexes = this.#indexes;
    const dictionary = this.#dictionary;
    let count = this.#count;
    let spared = 0;
    let next: Holding = 'dictionary';
    let row = from;
    for (; row < rows.length; row++) {
      const value = (rows[row] as readonly ColumnValue[])[at];
      if (typeof value !== 'string' && value !== null) {
        next = 'values';
        break;
      }
      const known = dictionary.get(value);
      if (known !== undefined) {
        indexes[count++] = known;
        this.#surplus += this.#surpluses[known] as number;
        if (value !== null) spared += value.length;
        continue;
      }
      if (dictionary.size >= Math.min(MAX_DISTINCT, FEW_DISTINCT + (count >> 2))) {
        next = 'text';
        break;
      }
      if (value !== null && !value.isWellFormed()) {
        next = 'values';
        break;
      }
      indexes[count++] = dictionary.size;
      dictionary.set(value === null ? null : detached(value), dictionary.size);
      this.#surpluses.push(this.#addText(value));
    }
    this.#count = count;
    this.#spared += spared;
    if (next === 'text') this.#becomeText();
    else if (next === 'values') this.#becomeValues();
    return row;
  }

  /** @returns how many bytes it has more than UTF-16 units */
  #addText(text: string | null): number {
    this.#lengths.writeVarint(text === null ? 0 : text.length + 1);
    if (text === null) return 0;
    const surplus = this.#bytes.appendUtf8(text) - text.length;
    this.#surplus += surplus;
    return surplus;
  }

  /** @returns as `#addNumbers`; `from` where UTF-8 cannot hold a text */
  #addTexts(rows: readonly (readonly ColumnValue[])[], at: number, from: number): number {
    const lengths = this.#lengths;
    const before = lengths.length;
    let text = '';
    let row = from;
    for (; row < rows.length; row++) {
      const value = (rows[row] as readonly ColumnValue[])[at];
      if (typeof value === 'string') {
        lengths.writeVarint(value.length + 1);
        text += value;
      } else if (value === null) lengths.writeVarint(0);
      else break;
    }
    if (!text.isWellFormed()) {
      lengths.truncate(before);
      this.#becomeValues();
      return from;
    }
    this.#surplus += this.#bytes.appendUtf8(text) - text.length;
    this.#count += row - from;
    if (row < rows.length) this.#becomeValues();
    return row;
  }

  #addValues(rows: readonly (readonly ColumnValue[])[], at: number, from: number): number {
    const bytes = this.#bytes;
    for (let row = from; row < rows.length; row++) {
      const value = (rows[row] as readonly ColumnValue[])[at];
      if (typeof value === 'string') {
        const before = bytes.length;
        bytes.write(value);
        this.#surplus += bytes.length - before - value.length;
      } else if (value instanceof Snapshot) bytes.append(value.bytes);
      else bytes.write(value);
    }
    return rows.length;
  }

  #writeNumbers(body: ValueWriter): void {
    const numbers = this.#numbers.subarray(0, this.#count);
    const kind = this.#areInt32 ? narrowest(numbers) : FLOAT64;
    const words = kind === FLOAT64 ? numbers : new INTEGERS[kind](numbers);
    body.writeVarint(kind);
    body.append(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  }

  /** Which way a column is written follows from its values alone, so all that came before is written again. */
  #becomeText(): void {
    const texts = this.#soFar() as readonly (string | null)[];
    this.#lengths.truncate(0);
    this.#bytes.truncate(0);
    let text = '';
    for (const item of texts) {
      this.#lengths.writeVarint(item === null ? 0 : item.length + 1);
      if (item !== null) text += item;
    }
    this.#bytes.appendUtf8(text);
    this.#holds = 'text';
  }

  #becomeValues(): void {
    const values = new ValueWriter(0);
    for (const value of this.#soFar()) values.write(value);
    this.#bytes = values;
    this.#holds = 'values';
  }

  /** What it holds, as whoever gets the frame would read it. */
  #soFar(): readonly unknown[] {
    const body = new ValueWriter(0);
    this.#writeHeld(body);
    return readColumn(new ValueReader(body.bytes()), this.#count, 0);
  }
}

/** Text that V8 cut out of a longer one keeps all of that. */
function detached(text: string): string {
  return text.length < SHORTEST_CUT ? text : ` ${text}`.slice(1);
}
const SHORTEST_CUT = 13;

/** The items with room for so many more behind the first `count`. */
function withRoom<Items extends Float64Array | Uint8Array>(items: Items, count: number, more: number): Items {
  if (count + more <= items.length) return items;
  const larger = new (items.constructor as new (length: number) => Items)(
    Math.max(INITIAL_ITEMS, 2 * count, count + more),
  );
  larger.set(items);
  return larger;
}

function narrowest(integers: Float64Array): typeof INT8 | typeof INT16 | typeof INT32 {
  let bits = 0;
  for (let at = 0; at < integers.length; at++) {
    const integer = integers[at] as number;
    bits |= integer < 0 ? ~integer : integer;
  }
  return bits < 1 << 7 ? INT8 : bits < 1 << 15 ? INT16 : INT32;
}
