import { createHash } from 'node:crypto';

const OBJECTS_A_DAY = 10_000;
const OBJECTS_A_LANE = 100;
const FIRST_DAY = Date.UTC(2019, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;
const PREFIX = 'shipments/';

export interface GeneratedObject {
  readonly key: string;
  readonly etag: string;
  readonly size: number;
}

/** Small objects of JSON Lines that follow from a seed and their number; their keys ascend with it. Nothing of them is kept. */
export class GeneratedLake {
  readonly objects: number;
  readonly #seed: number;

  constructor(objects: number, seed: number) {
    this.objects = objects;
    this.#seed = seed;
  }

  object(index: number): GeneratedObject {
    const size = this.#rows(index) * rowOf(index, 0).length;
    return { key: keyOf(index), etag: `${this.#seed}-${index}`, size };
  }

  /** The number of an object, `undefined` where there is none by this key. */
  indexOf(key: string): number | undefined {
    const number = /(\d{8})\.jsonl$/.exec(key)?.[1];
    const index = Number(number);
    return number !== undefined && index < this.objects && keyOf(index) === key ? index : undefined;
  }

  content(index: number): Buffer {
    const rows = Array.from({ length: this.#rows(index) }, (_, row) => rowOf(index, row));
    return Buffer.from(rows.join(''), 'latin1');
  }

  /** 1 to 64, any of them as often as any other. */
  #rows(index: number): number {
    return 1 + (Math.imul(index ^ this.#seed, 0x9e3779b1) >>> 26);
  }
}

export const GENERATED_PREFIX = PREFIX;

function keyOf(index: number): string {
  const date = new Date(FIRST_DAY + Math.floor(index / OBJECTS_A_DAY) * DAY_MS).toISOString();
  const lane = Math.floor((index % OBJECTS_A_DAY) / OBJECTS_A_LANE);
  return `${PREFIX}yyyy=${date.slice(0, 4)}/mm=${date.slice(5, 7)}/dd=${date.slice(8, 10)}/lane=${padded(lane, 3)}/${padded(index, 8)}.jsonl`;
}

/** All rows are of one length, so that the size is known without them. */
function rowOf(index: number, row: number): string {
  return `{"lane":"${padded(index % 1_000, 3)}","item":${1_000_000 + (index % 1_000_000)},"delay":${100 + ((index + row) % 900)}}\n`;
}

function padded(number: number, digits: number): string {
  return String(number).padStart(digits, '0');
}

export function md5(text: string | Buffer): string {
  return createHash('md5').update(text).digest('hex');
}
