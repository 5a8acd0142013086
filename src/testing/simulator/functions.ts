import type { StreamRecord } from '../../adapters/inmemory/stream.ts';
import { analyzeFrame } from '../../application/analyze/analyze.ts';
import { dispatch } from '../../application/dispatch/dispatch.ts';
import { takeOver } from '../../application/dispatch/take-over.ts';
import { unpackFrame } from '../../application/frames/frame-codec.ts';
import { generationOf } from '../../application/generation.ts';
import { ingest } from '../../application/ingest/ingest.ts';
import { redrive } from '../../application/reprocess/redrive.ts';
import { transformTask } from '../../application/transform/transform.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { RecordSink } from '../../domain/ports/record-sink.ts';
import type { TaskQueue } from '../../domain/ports/task-queue.ts';
import type { Row } from '../../domain/row.ts';
import type { Task } from '../../domain/section.ts';
import type { SharedPorts, SimulatedInvocation } from './world.ts';

/** A pipeline's code as it is deployed. */
export interface Program {
  readonly build: string;
  readonly pipeline: AnyPipeline;
}

/** A message from elsewhere, as a queue keeps it. */
export interface QueuedMessage {
  readonly key: string;
  readonly row: Row;
}

/** What one call of a function has. */
export interface FunctionCall extends SimulatedInvocation {
  readonly program: Program;
  /** Code of another build that is kept; `undefined` where it is not. */
  readonly kept: (build: string) => Program | undefined;
  readonly ports: SharedPorts & { readonly sink: RecordSink; readonly tasks: TaskQueue };
}

/** The functions of a pipeline, as the platform calls them. */
export interface Functions {
  /** Plans a lake and queues its tasks. */
  dispatch(run: string, location: string, call: FunctionCall): Promise<void>;
  /** Plans anew, for this build, what others planned and have not begun. */
  takeOver(run: string, call: FunctionCall): Promise<void>;
  /** @throws where the task is to come again */
  transform(task: Task, call: FunctionCall): Promise<void>;
  /** @returns the messages that are to come again */
  ingest(
    source: string,
    messages: readonly QueuedMessage[],
    call: FunctionCall,
  ): Promise<readonly QueuedMessage[]>;
  /** @returns the sequence number from which on the records are to come again; `null`: none of them is */
  analyze(records: readonly StreamRecord[], call: FunctionCall): Promise<string | null>;
  /** Redrives every open failure. */
  reprocess(run: string, call: FunctionCall): Promise<void>;
}

/** Sections in a task: few, so that an object is many tasks. */
const SECTIONS_PER_TASK = 3;
/** What a function leaves of its time for the reply, in milliseconds. */
const MARGIN_MS = 10_000;

/** The use cases, with nothing round them but what brings work to them. */
export const useCases: Functions = {
  async dispatch(run, location, { program, ports, signal }) {
    const { pipeline, build } = program;
    const generation = generationOf(pipeline, undefined);
    await ports.store.declare(generation, signal);
    await saveRun(run, generation.id, build, ports, signal);
    const request = { run, locations: [location], sectionsPerTask: SECTIONS_PER_TASK };
    await dispatch(
      request,
      { pipeline, build, generation, where: undefined, keepsBuilds: true, signal },
      ports,
    );
  },

  async takeOver(run, { program, ports, signal }) {
    const { pipeline, build } = program;
    const generation = generationOf(pipeline, undefined);
    const begin = () => saveRun(run, generation.id, build, ports, signal);
    await takeOver(
      { run, sectionsPerTask: SECTIONS_PER_TASK, begin },
      { pipeline, build, generation, where: undefined, keepsBuilds: true, signal },
      ports,
    );
  },

  async transform(task, call) {
    const { build, pipeline } = ownerOf(task.build, call);
    const { ports, signal } = call;
    const deadline = call.deadline - MARGIN_MS;
    const isLate = () => ports.clock.now() >= deadline - MARGIN_MS;
    await transformTask(task, { pipeline, build, signal, deadline, isLate }, ports);
  },

  async ingest(source, messages, { program, ports, signal, deadline }) {
    const { pipeline, build } = program;
    const generation = generationOf(pipeline, undefined);
    await ports.store.declare(generation, signal);
    const outcomes = await ingest(
      messages.map(({ key, row }) => ({ key, row, time: null })),
      {
        pipeline,
        build,
        generation: generation.id,
        run: source,
        source,
        where: undefined,
        // Longer than the function can live: a claim that lapses while it works would let another one in.
        leaseMs: deadline - ports.clock.now(),
        deadline: deadline - MARGIN_MS,
        signal,
      },
      ports,
    );
    return messages.filter((_, at) => outcomes[at] === 'busy');
  },

  async analyze(records, call) {
    for (const { data, sequenceNumber } of records) {
      try {
        await analyze(data, call);
      } catch {
        return sequenceNumber;
      }
    }
    return null;
  },

  async reprocess(run, { program, ports, signal, deadline }) {
    const { pipeline, build } = program;
    const { id: generation } = generationOf(pipeline, undefined);
    await saveRun(run, generation, build, ports, signal);
    const open = ports.store.failures({ generation, state: 'open' }, signal);
    await redrive(open, { pipeline, build, run, signal, deadline: deadline - MARGIN_MS }, ports);
  },
};

async function saveRun(
  id: string,
  generation: string,
  build: string,
  { store, clock }: SharedPorts,
  signal: AbortSignal,
): Promise<void> {
  const run = { id, generation, build, startedAt: clock.now(), finishedAt: null, report: null };
  await store.saveRun(run, signal);
}

/** What another build began is its business: its code is kept, and runs here. */
function ownerOf(build: string, { program, kept }: FunctionCall): Program {
  return build === program.build ? program : (kept(build) ?? program);
}

async function analyze(data: Uint8Array, call: FunctionCall): Promise<void> {
  const frame = await unpackFrame(data);
  await analyzeFrame(frame, { ...ownerOf(frame.header.build, call), signal: call.signal }, call.ports);
}
