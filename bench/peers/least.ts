/**
 * About the least that a map over row objects takes: uDSV's rows, the same map, each field's values in an array, numbers as doubles and texts joined, zstd at its lowest
 * level in libuv's threads. Nothing can be read back from it, no row can fail, and nobody could tell two messages apart: it is no peer, but what stands beside ours as
 * the limit.
 */
import { Buffer } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { inferSchema, initParser, type Parser } from 'udsv';
import { toMessage, type Item } from '../data/item.ts';
import type { Counts } from '../harness/contender.ts';
import { PeersStream } from '../harness/in-memory-stream.ts';

type Fields = Record<string, unknown>;

const zstd = promisify(zstdCompress);
const LEVEL_1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 }, chunkSize: 512 * 1024 };
const MESSAGES_A_RECORD = 3_000;
/** Records that are being packed: what comes on top waits. */
const AT_ONCE = 4;

export default async function least({ csv }: { readonly csv: string }): Promise<Counts> {
  const stream = new PeersStream();
  const packing = new Set<Promise<void>>();
  let messages = 0;
  let rows: unknown[][] = [];
  const pack = (): void => {
    const packed = zstd(bytesOf(rows), LEVEL_1)
      .then((record) => stream.putBatch([record]))
      .finally(() => packing.delete(packed));
    packing.add(packed);
    rows = [];
  };
  const add = (fields: Fields): void => {
    rows.push(Object.values(toMessage(fields as Fields & Item)));
    messages++;
    if (rows.length === MESSAGES_A_RECORD) pack();
  };
  let parser: Parser | undefined;
  for await (const chunk of createReadStream(csv, 'utf8')) {
    const text = chunk as string;
    parser ??= initParser(inferSchema(text));
    parser.chunk(text, parser.typedObjs<Fields>, add);
    while (packing.size >= AT_ONCE) await Promise.race(packing);
  }
  parser?.end();
  if (rows.length > 0) pack();
  await Promise.all(packing);
  return { messages, records: stream.records, bytesOut: stream.bytes };
}

function bytesOf(rows: readonly (readonly unknown[])[]): Buffer {
  const fields = (rows[0] as readonly unknown[]).map((first, at) =>
    typeof first === 'number'
      ? Buffer.from(Float64Array.from(rows, (row) => row[at] as number).buffer)
      : typeof first === 'boolean'
        ? Buffer.from(rows.map((row) => Number(row[at])))
        : Buffer.from(rows.map((row) => row[at]).join('\0'), 'utf8'),
  );
  return Buffer.concat(fields);
}
