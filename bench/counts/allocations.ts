/** A process of its own that transforms a file, and tells how many bytes of objects V8 allocated for it. */
import { Session } from 'node:inspector/promises';
import type { InProcessOptions } from '../contenders/sluice-in-process.ts';
import { transformFile } from './transform-file.ts';

/** One of so many allocated bytes is looked at, in bytes. */
const SAMPLING_INTERVAL = 4_096;

interface ProfileNode {
  readonly selfSize: number;
  readonly children: readonly ProfileNode[];
}

const session = new Session();
session.connect();
await session.post('HeapProfiler.startSampling', {
  samplingInterval: SAMPLING_INTERVAL,
  includeObjectsCollectedByMajorGC: true,
  includeObjectsCollectedByMinorGC: true,
});
await transformFile(JSON.parse(process.argv[2] ?? '') as InProcessOptions);
const { profile } = await session.post('HeapProfiler.stopSampling');
process.stdout.write(String(sizeOf(profile.head)));

function sizeOf({ selfSize, children }: ProfileNode): number {
  return children.reduce((sum, child) => sum + sizeOf(child), selfSize);
}
