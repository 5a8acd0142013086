import type { AnyPipeline } from '../../domain/pipeline.ts';
import type { Metrics } from '../../domain/ports/ambient.ts';
import type { KilledRow, KilledRows } from '../../domain/ports/killed-rows.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import { andWhere } from '../../domain/predicate.ts';
import type { Task } from '../../domain/section.ts';
import type { RowBatch } from '../formats/decoder.ts';
import { createMessageEncoding } from '../frames/encodings.ts';
import { openObject } from '../reading/open-object.ts';
import { createRowTransformer } from './row-transformer.ts';
import { SectionWriter } from './section-writer.ts';

export interface OpenTaskPorts {
  readonly source: ObjectSource;
  readonly killed: Pick<KilledRows, 'of'>;
  readonly metrics: Metrics;
}

/** A task that can be read. */
export interface OpenedTask {
  /** The rows of its sections, those that are done too. */
  readonly batches: AsyncIterable<RowBatch>;
  /** What turns the rows of a section into frames. */
  readonly startSection: (section: number) => SectionWriter;
}

/** @throws what `openObject` throws */
export async function openTask(
  task: Task,
  { pipeline, signal }: { readonly pipeline: AnyPipeline; readonly signal: AbortSignal },
  ports: OpenTaskPorts,
): Promise<OpenedTask> {
  const killed = Map.groupBy(await ports.killed.of(task, signal), ({ section }) => section);
  const where = andWhere(pipeline.source.where, task.where ?? undefined);
  const { decoder, bytes, options } = await openObject(task.object, { pipeline, where }, ports, signal);
  const { generation, build, run, object, epoch } = task;
  const shared = {
    pipeline,
    generation,
    build,
    run,
    object,
    epoch,
    encoding: createMessageEncoding(pipeline.frames),
    transformRow: createRowTransformer(pipeline),
  };
  return {
    batches: decoder.read(bytes, task.sections, task.start, options, signal),
    startSection: (section) =>
      new SectionWriter({ ...shared, section, killed: byCoordinate(killed.get(section) ?? []) }),
  };
}

function byCoordinate(rows: readonly KilledRow[]): ReadonlyMap<number, KilledRow> {
  return new Map(rows.map((row) => [row.coordinate, row]));
}
