import type { AnyPipeline } from '../../domain/pipeline.ts';
import { isBehind, type MarkedRow, type RowMark } from '../../domain/ports/row-mark.ts';
import type { Task } from '../../domain/section.ts';
import type { RowBatch } from '../formats/decoder.ts';
import { openTask, type OpenTaskPorts } from './open-task.ts';
import type { SectionWriter } from './section-writer.ts';

export interface ProbeContext {
  readonly pipeline: AnyPipeline;
  readonly signal: AbortSignal;
}

export interface ProbePorts extends OpenTaskPorts {
  /** Tells whoever looks on which row is under way. */
  readonly mark: RowMark;
}

/**
 * Does to the rows of a task what transforming it does, and keeps nothing: where a row hangs the process or ends it, the mark names
 * it. Rows with a verdict are left out, and so is what the task says is cleared: whatever the rows before have left behind is
 * no fault of the first one that is probed.
 *
 * @throws what `openObject` throws
 */
export async function probeTask(task: Task, context: ProbeContext, ports: ProbePorts): Promise<void> {
  const { batches, startSection } = await openTask(task, context, ports);
  const from = typeof task.cleared === 'object' ? task.cleared : undefined;
  const done = new Set(task.done);
  let writer: SectionWriter | undefined;
  for await (const batch of batches) {
    context.signal.throwIfAborted();
    if (!done.has(batch.section)) {
      writer ??= startSection(batch.section);
      probeBatch(writer, batch, from, ports.mark);
      // What is full is let go, as it would be once it is sent.
      writer.drain();
    }
    if (batch.end !== undefined) writer = undefined;
  }
}

function probeBatch(
  writer: SectionWriter,
  { section, rows, coordinates }: RowBatch,
  from: MarkedRow | undefined,
  mark: RowMark,
): void {
  for (const [index, row] of rows.entries()) {
    const coordinate = coordinates[index] as number;
    if (from !== undefined && isBehind(from, { section, coordinate })) continue;
    mark.enter(section, coordinate);
    writer.addRow(row, coordinate);
  }
  mark.leave();
}
