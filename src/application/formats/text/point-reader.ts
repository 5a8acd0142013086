import { isDomainError } from '../../../domain/errors.ts';
import type { RowBatch } from '../decoder.ts';
import type { RowShaper } from '../row-shaper.ts';
import type { RecordReader } from './record-reader.ts';
import { RowCollector } from './row-collector.ts';
import { collectDamage, fill } from './section-reader.ts';
import type { TextSource } from './text-source.ts';
import { TextWindow } from './text-window.ts';

export interface PointReading {
  readonly source: TextSource;
  /** Byte offsets in the text, ascending. */
  readonly coordinates: readonly number[];
  readonly shaper: RowShaper;
  readonly sectionBytes: number;
  readonly newReader: () => RecordReader;
  /** Whether a row can start at a position, as far as the byte before it and its own tell. */
  readonly startsRow: (position: number, before: number | undefined, byte: number | undefined) => boolean;
}

/** Coordinates closer to each other than this are read in one request, in bytes. */
const COALESCE_BYTES = 256 * 1024;

/** The rows that start at the given coordinates, each in a batch of its own. */
export async function* readAtCoordinates(reading: PointReading): AsyncGenerator<RowBatch> {
  const { source, coordinates, shaper, sectionBytes } = reading;
  for (const group of grouped(coordinates, source.size === null ? Infinity : COALESCE_BYTES)) {
    const first = Math.max(0, (group[0] as number) - 1);
    const window = new TextWindow(source.read(first, (group.at(-1) as number) + 1), first);
    try {
      for (const coordinate of group) {
        const collector = new RowCollector(shaper, 1);
        await readOne(reading, window, coordinate, collector);
        yield collector.take(Math.floor(coordinate / sectionBytes));
      }
    } finally {
      await window.release();
    }
  }
}

async function readOne(
  reading: PointReading,
  window: TextWindow,
  coordinate: number,
  collector: RowCollector,
): Promise<void> {
  const before = coordinate === 0 ? undefined : await byteAt(window, coordinate - 1);
  const byte = await byteAt(window, coordinate);
  if (byte === undefined && window.failure !== undefined) {
    const { failure } = window;
    if (!isDomainError(failure)) throw failure;
    return collector.fault(coordinate, failure.code, failure.message, null);
  }
  if (byte === undefined || window.position !== coordinate || !reading.startsRow(coordinate, before, byte)) {
    return collector.fault(coordinate, 'E_NOT_REDRIVABLE', `no row starts at byte ${coordinate}`, null);
  }
  const reader = reading.newReader();
  while (reader.read(window, coordinate + 1, collector) === 'more') {
    if (window.failure !== undefined) {
      collectDamage(window, reader, collector);
      return;
    }
    await fill(window);
  }
}

/** Moves the window there, if it is not past it. The last byte of the row before is looked at where it still lies in the buffer. */
async function byteAt(window: TextWindow, position: number): Promise<number | undefined> {
  if (window.position > position) {
    const index = window.indexOf(position);
    return index < 0 ? undefined : window.buffer[index];
  }
  await window.skipTo(position);
  if (window.held === 0 && window.position === position && !window.ended && window.failure === undefined)
    await fill(window);
  return window.position === position && window.held > 0 ? window.buffer[window.start] : undefined;
}

function* grouped(coordinates: readonly number[], distance: number): Generator<readonly number[]> {
  let group: number[] = [];
  for (const coordinate of coordinates) {
    const previous = group.at(-1);
    if (previous !== undefined && coordinate - previous > distance) {
      yield group;
      group = [];
    }
    group.push(coordinate);
  }
  if (group.length > 0) yield group;
}
