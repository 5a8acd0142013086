import { DomainError, isDomainError, isSluiceError } from '../../domain/errors.ts';
import { controlPartition } from '../../domain/partition.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Clock, Log, Metrics, Random } from '../../domain/ports/ambient.ts';
import type { KilledRows } from '../../domain/ports/killed-rows.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { RecordSink } from '../../domain/ports/record-sink.ts';
import type { RowMark } from '../../domain/ports/row-mark.ts';
import type { TaskQueue } from '../../domain/ports/task-queue.ts';
import type { Task } from '../../domain/section.ts';
import { failureOfObject } from '../failures/describe-failure.ts';
import type { RowBatch, RowFault, SectionEnd } from '../formats/decoder.ts';
import { encodeBody, packFrame, type FrameDraft } from '../frames/frame-codec.ts';
import { FrameSender, sendingOf } from '../frames/frame-sender.ts';
import { openTask } from './open-task.ts';
import type { SectionWriter } from './section-writer.ts';

export interface TransformPorts {
  readonly source: ObjectSource;
  readonly sink: RecordSink;
  readonly tasks: TaskQueue;
  /** Rows that a process hung or died in: they fail with `E_KILLED` instead of being transformed again. */
  readonly killed: KilledRows;
  /** Where somebody watches for such rows. Default: nobody does. */
  readonly mark?: RowMark;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface TransformContext {
  readonly pipeline: AnyPipeline;
  readonly build: string;
  /** Asked after each section: whether there is no time left for another one. Default: there is. */
  readonly isLate?: () => boolean;
  /** Milliseconds since 1970 after which nothing is put any more: `E_DEADLINE`; default: none. */
  readonly deadline?: number;
  readonly signal: AbortSignal;
}

/**
 * Reads the sections of a task, transforms their rows and puts the frames. Returns when all of them are accepted, or
 * when the rest has been handed on as a new task: in good time, or because a section's frames were unsent at the deadline. Without a
 * section that is done nothing is handed on: that might go on for ever. An object that cannot be read fails by a frame of its own: the others
 * go on.
 *
 * @throws DomainError `E_OTHER_BUILD`: the task belongs to another build and must be kept
 * @throws InfrastructureError the task can be tried again
 */
export async function transformTask(
  task: Task,
  context: TransformContext,
  ports: TransformPorts,
): Promise<void> {
  if (task.build !== context.build) {
    throw new DomainError(`task ${task.id} belongs to build ${task.build}, this is ${context.build}`, {
      code: 'E_OTHER_BUILD',
    });
  }
  const sender = new FrameSender(sendingOf(context, ports));
  try {
    await transformSections(task, sender, context, ports);
  } catch (thrown) {
    if (!isDomainError(thrown)) throw thrown;
    ports.log.error({ code: thrown.code, object: task.object.key }, thrown.message);
    await sendFrames(sender, [objectFailure(task, thrown, context.pipeline)]);
  }
  sender.assertIdle();
}

async function transformSections(
  task: Task,
  sender: FrameSender,
  context: TransformContext,
  ports: TransformPorts,
): Promise<void> {
  const { batches, startSection } = await openTask(task, context, ports);
  const done = new Set(task.done);
  let writer: SectionWriter | undefined;
  let rest: Task | undefined;
  try {
    for await (const batch of batches) {
      context.signal.throwIfAborted();
      if (!done.has(batch.section)) {
        writer ??= startSection(batch.section);
        addBatch(writer, batch, ports);
        await sendFrames(sender, writer.drain());
      }
      if (batch.end === undefined) continue;
      // A task that only read past what is done made no progress: handed on, it might never make any.
      if (writer === undefined) continue;
      await sendSection(sender, writer, batch.end, ports.metrics);
      writer = undefined;
      rest = restOf(task, batch.section, batch.end);
      if (rest !== undefined && context.isLate?.() === true) return await handOn(rest, task, context, ports);
    }
  } catch (thrown) {
    // The section that is unsent is read again, and none before it.
    if (rest === undefined || !isSluiceError(thrown) || thrown.code !== 'E_DEADLINE') throw thrown;
    ports.log.warn({ code: thrown.code, object: task.object.key }, thrown.message);
    await handOn(rest, task, context, ports);
  }
}

/** The same object would fail again: whoever applies the frame opens a failure, and the next dispatch takes the object up again. */
function objectFailure(task: Task, thrown: DomainError, pipeline: AnyPipeline): FrameDraft {
  const { generation, build, run, object } = task;
  const failure = failureOfObject(generation, object, thrown);
  return {
    generation,
    build,
    run,
    origin: { kind: 'object', object },
    partition: controlPartition(object, task.sections.from, pipeline.partitions),
    body: 'failures',
    codec: pipeline.frames,
    ...encodeBody({ kind: 'failures', failures: [failure] }, pipeline.frames),
  };
}

/** Rows and faults in the order in which they stand: where a decoder ends a batch must not show in the frames. */
function addBatch(writer: SectionWriter, batch: RowBatch, { mark, metrics }: TransformPorts): void {
  const faults = [...batch.faults];
  try {
    for (let index = 0; index < batch.rows.length; index++) {
      const coordinate = batch.coordinates[index] as number;
      while (faults[0] !== undefined && faults[0].coordinate < coordinate)
        writer.addFault(faults.shift() as RowFault);
      mark?.enter(batch.section, coordinate);
      writer.addRow(batch.rows[index] as (typeof batch.rows)[number], coordinate);
    }
  } finally {
    mark?.leave();
  }
  for (const fault of faults) writer.addFault(fault);
  writer.addSkipped(batch.pruned, batch.filtered);
  const faulty = batch.faults.reduce((rows, fault) => rows + fault.rows, 0);
  metrics.add('rowsRead', batch.rows.length + batch.filtered + batch.pruned + faulty);
}

async function sendSection(
  sender: FrameSender,
  writer: SectionWriter,
  end: SectionEnd,
  metrics: Metrics,
): Promise<void> {
  const { frames, record, recordFrame } = writer.finish(end);
  await sendFrames(sender, frames);
  // Last, so that a reader of the stream meets a section's record after its frames.
  await sendFrames(sender, [recordFrame]);
  metrics.add('sectionsSent', 1);
  metrics.add('rowsPruned', record.pruned);
  metrics.add('rowsFiltered', record.filtered);
  metrics.add('rowsFailed', record.failed);
  metrics.add('rowsTransformed', record.transformed);
  metrics.add('messages', record.messages);
}

async function sendFrames(sender: FrameSender, drafts: readonly FrameDraft[]): Promise<void> {
  if (drafts.length === 0) return;
  await sender.send(await Promise.all(drafts.map(packFrame)));
}

/** What is left of a task behind a section; `undefined`: nothing. */
function restOf(task: Task, section: number, end: SectionEnd): Task | undefined {
  if (end.last || (task.sections.to !== null && section >= task.sections.to)) return undefined;
  return {
    ...task,
    sections: { from: section + 1, to: task.sections.to },
    start: end.next,
    done: task.done.filter((index) => index > section),
  };
}

/** What is left of the task becomes a task of its own. */
async function handOn(
  rest: Task,
  task: Task,
  { signal }: TransformContext,
  ports: TransformPorts,
): Promise<void> {
  const next = { ...rest, id: ports.random.id() };
  await ports.tasks.send([next], signal);
  const { from: section } = next.sections;
  ports.log.info({ task: task.id, next: next.id, section }, 'handed the rest on as a new task');
}
