import { Console } from 'node:console';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { SystemClock } from '../../adapters/inmemory/clock.ts';
import { SystemRandom } from '../../adapters/inmemory/random.ts';
import { LocalObjectSource } from '../../adapters/local/object-source.ts';
import { Peer, threadChannel } from '../../adapters/local/workers/peer.ts';
import { remotePorts, sayNotAwaited } from '../../adapters/local/workers/remote-ports.ts';
import { bothMarks, FileMark, SharedMark } from '../../adapters/local/workers/row-marks.ts';
import type { TaskOrder, ThreadData, WorkedOut } from '../../adapters/local/workers/transform-worker.ts';
import { encodeEffects, workOut } from '../../application/analyze/work-out.ts';
import { transformTask } from '../../application/transform/transform.ts';
import { lakeOfFilesAndS3 } from './lake.ts';
import { loadPipeline } from './load-pipeline.ts';

/** What a thread of `sluice run` runs: the pipeline's code, and the reading of objects. Everything else it asks of the main thread. */

if (parentPort === null) throw new Error('this is the code of a thread');
// As on the main thread: standard output is for what a command was asked for.
globalThis.console = new Console(process.stderr);

const { pipeline: path, capabilities, mark: buffer, markFile } = workerData as ThreadData;
const shared = new SharedMark(buffer);
const mark = markFile === null ? shared : bothMarks(shared, new FileMark(markFile));
const clock = new SystemClock();
const random = new SystemRandom({ clock });
// Nobody aborts the work of a thread in order: whoever wants it stopped ends the thread.
const { signal } = new AbortController();

const loading = loadPipeline(path);
// Told by the first task: nobody waits before that.
loading.catch(() => undefined);

const peer = new Peer(threadChannel(parentPort), {
  transform: async ({ task, known }: TaskOrder) => {
    const { pipeline, build } = await loading;
    if (known !== undefined) await files.believe(task.object.key, known);
    await transformTask(task, { pipeline, build, signal }, { ...ports, source, clock, random, mark });
    ports.flush();
  },
  workOut: async (record: Uint8Array): Promise<WorkedOut | undefined> => {
    const worked = await workOut(record, await loading);
    return worked && { header: worked.header, effects: encodeEffects(worked.effects) };
  },
});
const ports = remotePorts(peer, capabilities, clock);
const files = new LocalObjectSource({ clock, log: ports.log });
const source = lakeOfFilesAndS3(files, { ...ports, clock, random });
for (const event of ['unhandledRejection', 'uncaughtException'] as const)
  process.on(event, (thrown: unknown) => sayNotAwaited(peer, thrown));
