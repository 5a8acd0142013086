// Everything that a pipeline or a provider needs, on one page. Contracts for providers are in `sluice/testing`.

// A pipeline
export { definePipeline } from './domain/pipeline.ts';
export type { AnyPipeline, CsvOptions, Finding, Pipeline, PipelineDeclaration } from './domain/pipeline.ts';
export { count, countIf, distinct, max, mean, min, quantiles, sum } from './domain/measure.ts';
export type { Measure, MeasuresOf, Quantiles } from './domain/measure.ts';
export type { Columns, ColumnType, RowOf } from './domain/columns.ts';
export type { Limits } from './domain/limits.ts';
export type { Mask } from './domain/mask.ts';
export type { Row } from './domain/row.ts';
export type { Where } from './domain/where.ts';

// Errors
export { DomainError, InfrastructureError, isDomainError, isSluiceError } from './domain/errors.ts';
export type { SluiceError, SluiceErrorOptions } from './domain/errors.ts';
export { errorCatalogue } from './domain/error-codes.ts';
export type { ErrorCode } from './domain/error-codes.ts';

// Ports: what a provider implements
export type { ByteRange, LakeObject, ObjectName } from './domain/lake-object.ts';
export type { ObjectSource, ObjectSourceCapabilities } from './domain/ports/object-source.ts';
export type {
  PutOutcome,
  RecordSink,
  RecordSinkCapabilities,
  SinkRecord,
} from './domain/ports/record-sink.ts';
export type { Claim, ClaimOutcome, DedupStore, DedupStoreCapabilities } from './domain/ports/dedup-store.ts';
export type { KilledRow, KilledRows, KilledScope } from './domain/ports/killed-rows.ts';
export type { ErrorRouter, RoutedFailure } from './domain/ports/error-router.ts';
export type { ReceivedTask, TaskQueue, TaskQueueCapabilities } from './domain/ports/task-queue.ts';
export type { MergeStates, ResultStore, ResultStoreCapabilities } from './domain/ports/result-store.ts';
export type { Clock, Counter, Log, Metrics, Random } from './domain/ports/ambient.ts';
export type { Failure, Stage } from './domain/failure.ts';
export type { KeyedPosition, Position, RowPosition } from './domain/position.ts';
export { compareUtf8 } from './domain/text-order.ts';
export type { Task } from './domain/section.ts';
