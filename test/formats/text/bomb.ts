/**
 * Run by itself: reads an object that inflates about 1000:1 and prints how far the resident memory rose, in bytes, with the rows and
 * faults that came.
 */
import { gzipSync } from 'node:zlib';
import { decoderFor } from '../../../src/application/formats/index.ts';
import { never, memoryObject, readOptions } from './lake-text.ts';

const MIB = 1024 * 1024;
const [, , content, megabytes] = process.argv;
const block = Buffer.alloc(MIB, content === 'zeros' ? '0' : '0123456789abcde,0123456789abcde\n');
// Members of one gzip file follow on each other.
const member = gzipSync(block, { level: 9 });
const stored = Buffer.concat([gzipSync('a,b\n'), ...Array.from({ length: Number(megabytes) }, () => member)]);
const decoder = await decoderFor('csv');
const object = memoryObject(stored);
const options = readOptions({ limits: { sectionBytes: MIB, maxRowBytes: MIB } });
let rows = 0;
const faults: string[] = [];
let peak = 0;
const before = process.memoryUsage.rss();
for await (const batch of decoder.read(object, { from: 0, to: null }, null, options, never)) {
  rows += batch.rows.length;
  faults.push(...batch.faults.map(({ code }) => code));
  peak = Math.max(peak, process.memoryUsage.rss());
}
console.log(JSON.stringify({ growth: peak - before, rows, faults, stored: stored.length }));
