import { isDomainError } from '../../../domain/errors.ts';
import { lastTextSection, type SectionRange } from '../../../domain/section.ts';
import type { RowBatch } from '../decoder.ts';
import type { RowShaper } from '../row-shaper.ts';
import type { Pause, RecordReader } from './record-reader.ts';
import { RowCollector } from './row-collector.ts';
import type { TextSource } from './text-source.ts';
import { TextWindow, WINDOW_BYTES } from './text-window.ts';

export interface SectionReading {
  readonly source: TextSource;
  readonly reader: RecordReader;
  readonly shaper: RowShaper;
  readonly sectionBytes: number;
  readonly range: SectionRange;
  /** Byte offset in the text of the first record of the range's first section, or of any section before it. */
  readonly start: number;
}

/**
 * The sections of a range of text: section i holds the records whose first byte lies in
 * [i × sectionBytes, (i + 1) × sectionBytes). A section's `next` is where the first record at or after its end starts, which may lie
 * sections further on: those between are empty. It depends on the text alone.
 */
export async function* readSections(reading: SectionReading): AsyncGenerator<RowBatch> {
  const { source, reader, sectionBytes, range } = reading;
  const likelyEnd = range.to === null ? undefined : (range.to + 1) * sectionBytes;
  const window = new TextWindow(source.read(reading.start, likelyEnd), reading.start);
  const collector = new RowCollector(reading.shaper);
  // Without a known start the sections before the range are read past.
  let section = Math.min(range.from, Math.floor(reading.start / sectionBytes));
  const isAsked = (): boolean => section >= range.from;
  try {
    for (;;) {
      const stop = (section + 1) * sectionBytes;
      const pause: Pause = reader.read(window, stop, collector);
      if (pause === 'full') {
        const batch = collector.take(section);
        if (isAsked()) yield batch;
      } else if (pause === 'more') {
        if (window.failure !== undefined) {
          const next = window.positionOf(window.end);
          yield collectDamage(window, reader, collector).take(section, { last: true, next });
          return;
        }
        await fill(window);
      } else if (pause === 'stop') {
        const next = window.position;
        // Whether the object ends exactly where the section does shows in the byte after it.
        while (next === stop && window.held === 0 && !window.ended && window.failure === undefined)
          await fill(window);
        const last = next === stop && window.held === 0 && window.ended;
        const batch = collector.take(section, { last, next });
        if (isAsked()) yield batch;
        if (last || section === range.to) return;
        section++;
      } else {
        const next = window.position;
        const lastSection =
          pause === 'over' ? section : Math.max(section, lastTextSection(next, sectionBytes));
        for (; section <= Math.min(lastSection, range.to ?? Infinity); section++) {
          const batch = collector.take(section, { last: section === lastSection, next });
          if (isAsked()) yield batch;
        }
        return;
      }
    }
  } finally {
    await window.release();
  }
}

/**
 * Twice of what did not suffice, so that a record is looked at again only a few times, however small the chunks are.
 */
export async function fill(window: TextWindow): Promise<void> {
  await window.fill(Math.max(WINDOW_BYTES, 2 * window.held));
}

/** A damaged stream is a fault at the record that it cut; anything else that stopped the stream is not the object's. */
export function collectDamage(
  window: TextWindow,
  reader: RecordReader,
  collector: RowCollector,
): RowCollector {
  const { failure } = window;
  if (!isDomainError(failure) || failure.code !== 'E_COMPRESSED_CORRUPT') throw failure;
  const coordinate = reader.unfinished ?? window.position;
  collector.fault(
    coordinate,
    failure.code,
    failure.message,
    window.buffer.subarray(window.start, window.end),
  );
  return collector;
}
