import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { Peer, processChannel } from '../../adapters/local/workers/peer.ts';
import { FileMark } from '../../adapters/local/workers/row-marks.ts';
import { probeTask } from '../../application/transform/probe-task.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Metrics } from '../../domain/ports/ambient.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import { PROBE_VARIABLE, type ProbeOrder } from './probe-process.ts';

/** Between two looks at the process that this one works for, in milliseconds. */
const PARENT_LOOK_MS = 500;

/** The function counts what it reads itself. */
const uncounted: Metrics = { add: () => undefined };

/** Whether this process was started by a function to probe a task. */
export function isProbe(): boolean {
  return process.env[PROBE_VARIABLE] !== undefined && process.send !== undefined;
}

/** The other side of `probesIn`: transforms the rows of the task that it is told, and puts nothing. @returns who listens from now on */
export function serveProbe(pipeline: AnyPipeline, openLake: () => Promise<ObjectSource>): Peer {
  endWith(Number(process.env[PROBE_VARIABLE]));
  // What the pipeline itself may start is no probe.
  delete process.env[PROBE_VARIABLE];
  fallFirst();
  const services = {
    probe: async ({ task, killed, markFile }: ProbeOrder, signal: AbortSignal) => {
      const mark = new FileMark(markFile);
      const source = await openLake();
      await probeTask(
        task,
        { pipeline, signal },
        { source, killed: { of: async () => killed }, metrics: uncounted, mark },
      );
      mark.close();
    },
  };
  return new Peer(processChannel(process), services);
}

/** Without its parent there is nobody to probe for; a row that hangs would go on for ever, and hears of nothing. */
function endWith(parent: number): void {
  process.on('disconnect', () => process.exit());
  const look = `setInterval(() => { if (process.ppid !== ${parent}) process.kill(process.pid, 'SIGKILL'); }, ${PARENT_LOOK_MS});`;
  new Worker(look, { eval: true, execArgv: [] }).unref();
}

/** Where the memory of the container runs out, the system ends this process and not the function's. */
function fallFirst(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // No Linux, or not allowed: then the function's process may be ended, and the task comes again.
  }
}
