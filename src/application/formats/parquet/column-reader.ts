import {
  decodeDictionary,
  decodePage,
  findPages,
  type ChunkBytes,
  type DecodedPage,
  type PageLimits,
  type StoredPages,
} from './pages.ts';
import { isFlat, listElementOf, mapEntriesOf, unwrappedElementOf, type ColumnNode } from './schema.ts';

/** Values of one top-level column, row after row. Pages are decoded when their first row is asked for. */
export interface ColumnReader {
  /**
   * Values of the next rows. One that cannot be read is a symbol that tells why, for all of the row's value.
   *
   * @throws Error where a page is damaged
   */
  take(rows: number): ArrayLike<unknown>;
  skip(rows: number): void;
  /** Whether a value so far could not be read. */
  readonly sawUnreadable: boolean;
}

/**
 * Checks the pages' headers of all chunks of a column at once, before any row is given out.
 *
 * @throws Error where they are damaged
 */
export function readColumn(
  node: ColumnNode,
  chunks: readonly ChunkBytes[],
  limits: PageLimits,
): ColumnReader {
  const streams = chunks.map((chunk) => new PageStream(chunk, limits));
  return isFlat(node) ? new FlatReader(streams[0]!) : new NestedReader(node, streams);
}

/** The pages of one chunk, in order; each is released when the next is asked for. */
class PageStream {
  readonly chunk: ChunkBytes;
  readonly #limits: PageLimits;
  readonly #pages: StoredPages;
  #dictionary: ArrayLike<unknown> | undefined;
  #next = 0;

  constructor(chunk: ChunkBytes, limits: PageLimits) {
    this.chunk = chunk;
    this.#limits = limits;
    this.#pages = findPages(chunk, limits);
  }

  /** Values of the next page, `undefined` after the last one. */
  get nextCount(): number | undefined {
    return this.#pages.data[this.#next]?.values;
  }

  skip(): void {
    this.#next++;
  }

  decode(): DecodedPage {
    const page = this.#pages.data[this.#next++];
    if (page === undefined) throw new Error('rows end too early');
    const { dictionary } = this.#pages;
    if (dictionary !== undefined) this.#dictionary ??= decodeDictionary(dictionary, this.chunk, this.#limits);
    return decodePage(page, this.#dictionary, this.chunk, this.#limits);
  }
}

class FlatReader implements ColumnReader {
  sawUnreadable = false;
  readonly #stream: PageStream;
  #page: DecodedPage | undefined;
  /** Row and value within the page. */
  #row = 0;
  #value = 0;

  constructor(stream: PageStream) {
    this.#stream = stream;
  }

  take(rows: number): ArrayLike<unknown> {
    const output = new Array<unknown>(rows);
    let taken = 0;
    while (taken < rows) {
      const page = this.#currentPage();
      const count = Math.min(rows - taken, page.count - this.#row);
      this.#copy(page, count, output, taken);
      taken += count;
      this.#row += count;
    }
    return output;
  }

  #copy(
    { definitions, values, dictionary }: DecodedPage,
    count: number,
    output: unknown[],
    at: number,
  ): void {
    const { leaf } = this.#stream.chunk;
    const { finish } = leaf.kind;
    const max = leaf.maxDefinition;
    let next = this.#value;
    for (let i = 0; i < count; i++) {
      if (definitions !== undefined && definitions[this.#row + i] !== max) {
        output[at + i] = null;
        continue;
      }
      const stored = values[next++];
      const compact = dictionary === undefined ? stored : dictionary[stored as number];
      const value = finish === undefined || typeof compact === 'symbol' ? compact : finish(compact);
      if (typeof value === 'symbol') this.sawUnreadable = true;
      output[at + i] = value;
    }
    this.#value = next;
  }

  skip(rows: number): void {
    let left = rows;
    while (left > 0) {
      if (this.#page === undefined || this.#row === this.#page.count) {
        const count = this.#stream.nextCount;
        if (count !== undefined && count <= left) {
          this.#stream.skip();
          left -= count;
          continue;
        }
      }
      const page = this.#currentPage();
      const count = Math.min(left, page.count - this.#row);
      if (page.definitions === undefined) {
        this.#value += count;
      } else {
        const max = this.#stream.chunk.leaf.maxDefinition;
        for (let i = 0; i < count; i++) if (page.definitions[this.#row + i] === max) this.#value++;
      }
      this.#row += count;
      left -= count;
    }
  }

  #currentPage(): DecodedPage {
    while (this.#page === undefined || this.#row === this.#page.count) {
      this.#page = undefined;
      this.#page = this.#stream.decode();
      this.#row = 0;
      this.#value = 0;
    }
    return this.#page;
  }
}

/** The values and levels of one stored column, one after the other. */
class LevelStream {
  readonly maxDefinition: number;
  readonly #stream: PageStream;
  #page: DecodedPage | undefined;
  #entry = 0;
  #value = 0;

  constructor(stream: PageStream) {
    this.#stream = stream;
    this.maxDefinition = stream.chunk.leaf.maxDefinition;
  }

  /** Whether another entry is there; decodes its page. */
  #hasNext(): boolean {
    while (this.#page === undefined || this.#entry === this.#page.count) {
      if (this.#stream.nextCount === undefined) return false;
      this.#page = undefined;
      this.#page = this.#stream.decode();
      this.#entry = 0;
      this.#value = 0;
    }
    return true;
  }

  /** Definition level of the next entry. */
  get definition(): number {
    if (!this.#hasNext()) throw new Error('rows end too early');
    return this.#page!.definitions?.[this.#entry] ?? this.maxDefinition;
  }

  /** Repetition level of the next entry; 0 at the end: another row would begin there. */
  get repetition(): number {
    return this.#hasNext() ? (this.#page!.repetitions?.[this.#entry] ?? 0) : 0;
  }

  next(): unknown {
    const present = this.definition === this.maxDefinition;
    this.#entry++;
    if (!present) return null;
    const { values, dictionary } = this.#page!;
    const stored = values[this.#value++];
    const compact = dictionary === undefined ? stored : dictionary[stored as number];
    const { finish } = this.#stream.chunk.leaf.kind;
    return finish === undefined || typeof compact === 'symbol' ? compact : finish(compact);
  }
}

type Assemble = () => unknown;

/** Puts rows of lists, maps and structs together from the levels of their stored columns. */
class NestedReader implements ColumnReader {
  sawUnreadable = false;
  readonly #levels: readonly LevelStream[];
  readonly #assemble: Assemble;
  #unreadable: symbol | undefined;
  #hasBegun = false;

  constructor(node: ColumnNode, streams: readonly PageStream[]) {
    this.#levels = streams.map((stream) => new LevelStream(stream));
    const byIndex = new Map(node.leaves.map((leaf, i) => [leaf.index, this.#levels[i]!]));
    this.#assemble = this.#field(node, byIndex);
  }

  take(rows: number): ArrayLike<unknown> {
    return Array.from({ length: rows }, () => this.#nextRow());
  }

  skip(rows: number): void {
    for (let i = 0; i < rows; i++) this.#nextRow();
  }

  #nextRow(): unknown {
    this.#unreadable = undefined;
    if (!this.#hasBegun) this.#checkRowStart();
    this.#hasBegun = true;
    const value = this.#assemble();
    this.#checkRowStart();
    if (this.#unreadable === undefined) return value;
    this.sawUnreadable = true;
    return this.#unreadable;
  }

  /** Where a row ends, each of its stored columns begins another one. */
  #checkRowStart(): void {
    if (this.#levels.some((levels) => levels.repetition !== 0)) {
      throw new Error('the parts of a nested column do not fit together');
    }
  }

  /** A part that may be absent or repeated. */
  #field(node: ColumnNode, levels: ReadonlyMap<number, LevelStream>): Assemble {
    const value = this.#value(node, levels);
    if (node.element.repetition_type === 'REPEATED') return repeated(node, levels, value);
    if (node.element.repetition_type === 'REQUIRED' || node.element.type !== undefined) return value;
    const { first, skip } = partsOf(node, levels);
    return () => {
      if (first.definition >= node.definition) return value();
      skip();
      return null;
    };
  }

  /** A part that is there. */
  #value(node: ColumnNode, levels: ReadonlyMap<number, LevelStream>): Assemble {
    if (node.element.type !== undefined) {
      const stream = levels.get(node.leaves[0]!.index)!;
      return () => {
        const value = stream.next();
        if (typeof value === 'symbol') this.#unreadable = value;
        return value;
      };
    }
    const elements = listElementOf(node);
    if (elements !== undefined) {
      const wrapped = unwrappedElementOf(node, elements);
      const element = wrapped === undefined ? this.#value(elements, levels) : this.#field(wrapped, levels);
      return repeated(elements, levels, element);
    }
    const pairs = mapEntriesOf(node);
    if (pairs !== undefined) {
      const [key, value] = pairs.children.map((child) => this.#field(child, levels)) as [Assemble, Assemble];
      const entries = repeated(pairs, levels, () => [key(), value()]);
      return () => {
        const map = emptyObject();
        for (const [name, each] of entries() as [unknown, unknown][]) map[keyText(name)] = each;
        return map;
      };
    }
    const fields = node.children.map((child) => [child.name, this.#field(child, levels)] as const);
    return () => {
      const struct = emptyObject();
      for (const [name, assemble] of fields) struct[name] = assemble();
      return struct;
    };
  }
}

function repeated(node: ColumnNode, levels: ReadonlyMap<number, LevelStream>, element: Assemble): Assemble {
  const { first, skip } = partsOf(node, levels);
  return () => {
    const list: unknown[] = [];
    if (first.definition < node.definition) {
      skip();
      return list;
    }
    do list.push(element());
    while (first.repetition === node.repetition);
    return list;
  };
}

/** The stored columns under a node: the first tells what is there; where nothing is, each has one entry to skip. */
function partsOf(
  node: ColumnNode,
  levels: ReadonlyMap<number, LevelStream>,
): { first: LevelStream; skip: () => void } {
  const parts = node.leaves.map((leaf) => levels.get(leaf.index)!);
  return {
    first: parts[0]!,
    skip: () => {
      for (const part of parts) {
        // A part that has a value where its group has none would shift all that follows.
        if (part.definition >= node.definition)
          throw new Error('the parts of a nested column do not fit together');
        part.next();
      }
    },
  };
}

/** Without a prototype, like rows: names and keys may be any text. */
function emptyObject(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>;
}

function keyText(key: unknown): string {
  return key instanceof Date ? key.toISOString() : String(key);
}
