import process from 'node:process';
import { SystemClock } from '../../adapters/inmemory/clock.ts';
import { Peer, processChannel } from '../../adapters/local/workers/peer.ts';
import { remotePorts } from '../../adapters/local/workers/remote-ports.ts';
import { RowWatch } from '../../adapters/local/workers/row-watch.ts';
import type { ProcessOrder } from '../../adapters/local/workers/transform-process.ts';
import { TransformThread } from '../../adapters/local/workers/transform-worker.ts';
import { threadEntry } from './worker-entries.ts';

/**
 * What a process of `sluice run` runs that has a suspected task: one thread, which it watches as the main process watches its own. It
 * only stands between the two, so that it can be killed instead of the run.
 */

// Ctrl-C and the end of a terminal reach every process of it, and whoever stops a service may tell all of its processes: the run decides.
// Ending here would be taken for what the row did that is under way.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
// Without the run there is nobody to work for; a thread that hangs would go on for ever.
process.on('disconnect', () => process.exit());

const clock = new SystemClock();
const peer: Peer = new Peer(processChannel(process), {
  transform: async ({ pipeline, heapMb, limits, markFile, capabilities, ...order }: ProcessOrder) => {
    const ports = remotePorts(peer, capabilities, clock);
    const thread = new TransformThread(ports, { entry: threadEntry, pipeline, heapMb, markFile });
    const watch = new RowWatch(limits);
    watch.add(thread);
    try {
      await thread.transform(order);
    } finally {
      watch.remove(thread);
      ports.flush();
    }
  },
});
