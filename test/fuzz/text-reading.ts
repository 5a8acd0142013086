import type { Decoder, ReadOptions } from '../../src/application/formats/decoder.ts';
import { collect, memoryObject, never, readOptions, type Reading } from '../formats/text/lake-text.ts';
import { agree } from './target.ts';

/** Small, so that inputs of a few hundred bytes reach every bound. In bytes. */
export const MAX_ROW_BYTES = 200;
const SECTION_BYTES = 40;

export const boundedOptions: ReadOptions = readOptions({
  compression: 'none',
  limits: { sectionBytes: SECTION_BYTES, maxRowBytes: MAX_ROW_BYTES },
});

/** How an input comes: which it is follows from the input, so that it is found again. */
export function chunksOf(input: Uint8Array): readonly number[] {
  const kind = input.length % 4;
  if (kind === 0) return [1 + ((input[0] ?? 0) % 7), 1 + ((input.at(-1) ?? 0) % 50)];
  return [kind * 1_000];
}

/** @throws Error where sections that are read by themselves give other rows or faults than all of them together */
export async function partsAgree(
  decoder: Decoder,
  input: Uint8Array,
  key: string,
  options: ReadOptions,
  whole: Reading,
): Promise<void> {
  const { lastSection, splittable } = await decoder.layout(memoryObject(input, [1_000], key), options, never);
  if (!splittable || lastSection === null || lastSection === 0) return;
  const from = 1 + (input.length % lastSection);
  const object = memoryObject(input, [1_000], key);
  const parts = [
    await collect(decoder.read(object, { from: 0, to: from - 1 }, null, options, never)),
    await collect(
      decoder.read(
        object,
        { from, to: null },
        await startOf(decoder, input, key, from, options),
        options,
        never,
      ),
    ),
  ];
  agree('rows of parts and whole', parts.flatMap(placesOf), placesOf(whole));
}

async function startOf(
  decoder: Decoder,
  input: Uint8Array,
  key: string,
  section: number,
  options: ReadOptions,
): Promise<number> {
  for await (const { start } of decoder.findStarts(
    memoryObject(input, [1_000], key),
    [section],
    options,
    never,
  ))
    return start;
  throw new Error(`section ${section} has no start`);
}

function placesOf({ rows, faults }: Reading): unknown[] {
  return [
    ...rows.map(({ coordinate, row }) => [coordinate, Object.entries(row)]),
    ...faults.map(({ coordinate, code }) => [coordinate, code]),
  ].sort((a, b) => (a[0] as number) - (b[0] as number));
}
