/**
 * The talk's way, as fast as it goes: csv-parse, RxJS, a map to JSON, gzip, `bufferCount`, `putBatch`. gzip at its lowest level in libuv's threads, over
 * records of about as many bytes of JSON as our frames have, because one of its own for every message takes twice as long.
 */
import { createReadStream } from 'node:fs';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { parse } from 'csv-parse';
import { bufferCount, concatMap, from, lastValueFrom, map, mergeMap, tap } from 'rxjs';
import { toMessage, typedItem } from '../data/item.ts';
import type { Counts } from '../harness/contender.ts';
import { PeersStream } from '../harness/in-memory-stream.ts';

const gzipped = promisify(gzip);
const MESSAGES_A_RECORD = 700;
const RECORDS_A_BATCH = 8;
const AT_ONCE = 4;

export default async function talk({ csv }: { readonly csv: string }): Promise<Counts> {
  const stream = new PeersStream();
  let messages = 0;
  const rows = createReadStream(csv).pipe(parse({ columns: true }));
  await lastValueFrom(
    from(rows as AsyncIterable<Parameters<typeof typedItem>[0]>).pipe(
      map((row) => JSON.stringify(toMessage(typedItem(row)))),
      tap(() => messages++),
      bufferCount(MESSAGES_A_RECORD),
      mergeMap((lines) => gzipped(lines.join('\n'), { level: 1 }), AT_ONCE),
      bufferCount(RECORDS_A_BATCH),
      concatMap((records) => stream.putBatch(records)),
    ),
  );
  return { messages, records: stream.records, bytesOut: stream.bytes };
}
