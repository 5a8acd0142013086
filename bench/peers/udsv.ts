/** uDSV as in its README, with its types, then JSON and gzip at its lowest level in libuv's threads, into the stream. */
import { createReadStream } from 'node:fs';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { inferSchema, initParser, type Parser } from 'udsv';
import { toMessage, type Item } from '../data/item.ts';
import type { Counts } from '../harness/contender.ts';
import { PeersStream } from '../harness/in-memory-stream.ts';

type Fields = Record<string, unknown>;

const gzipped = promisify(gzip);
const MESSAGES_A_RECORD = 700;
/** Records that are being packed: what comes on top waits. */
const AT_ONCE = 4;

export default async function udsv({ csv }: { readonly csv: string }): Promise<Counts> {
  const stream = new PeersStream();
  const packing = new Set<Promise<void>>();
  let messages = 0;
  let lines: string[] = [];
  const pack = (text: string): void => {
    const packed = gzipped(text, { level: 1 })
      .then((record) => stream.putBatch([record]))
      .finally(() => packing.delete(packed));
    packing.add(packed);
  };
  const add = (fields: Fields): void => {
    lines.push(JSON.stringify(toMessage(fields as Fields & Item)));
    messages++;
    if (lines.length < MESSAGES_A_RECORD) return;
    pack(lines.join('\n'));
    lines = [];
  };
  let parser: Parser | undefined;
  for await (const chunk of createReadStream(csv, 'utf8')) {
    const text = chunk as string;
    parser ??= initParser(inferSchema(text));
    parser.chunk(text, parser.typedObjs<Fields>, add);
    while (packing.size >= AT_ONCE) await Promise.race(packing);
  }
  parser?.end();
  if (lines.length > 0) pack(lines.join('\n'));
  await Promise.all(packing);
  return { messages, records: stream.records, bytesOut: stream.bytes };
}
