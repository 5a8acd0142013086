/**
 * What the machine itself makes of threads: they share nothing, and each does its part of the same work. Two virtual cores that are one core's two
 * threads, or whose memory is busy with somebody else's work, are not twice as fast as one.
 */
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import type { Counts } from '../harness/contender.ts';

export interface ThreadsOptions {
  readonly threads: number;
  /** Texts that are parsed and written again, by all threads together. */
  readonly texts: number;
}

const TEXT = JSON.stringify({
  sku: 'A-1093',
  lane: 'ZRH-JFK',
  quantity: 12,
  tags: [1, 2, 3, 4],
  at: { lat: 47.4, lon: null },
});

function parseAndWrite(texts: number): void {
  let units = 0;
  for (let at = 0; at < texts; at++) units += JSON.stringify(JSON.parse(TEXT)).length;
  if (units !== texts * TEXT.length) throw new Error('JSON came back as another text');
}

export default async function independentThreads({ threads, texts }: ThreadsOptions): Promise<Counts> {
  const share = texts / threads;
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL(import.meta.url), { workerData: share }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  return { texts: share * threads };
}

if (!isMainThread) parseAndWrite(workerData as number);
