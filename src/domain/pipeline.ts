import { checkFields, checkPipeline } from './check-pipeline.ts';
import type { Columns, RowOf } from './columns.ts';
import { defaultLimits, type Limits } from './limits.ts';
import type { Mask } from './mask.ts';
import { measuresOf, type Measure, type Measures, type MeasuresOf, type MeasureValues } from './measure.ts';
import type { Row } from './row.ts';
import type { StandardSchema } from './standard-schema.ts';
import type { Where } from './where.ts';

export type Format = 'csv' | 'jsonl' | 'json' | 'parquet';
export type Compression = 'none' | 'gzip' | 'zstd';
export type FrameCodec = 'packed' | 'json';

/** How CSV is written. A TSV is a CSV whose delimiter is a tab. */
export interface CsvOptions {
  /** One ASCII character. Default: told from the header among `,` `;` tab and `|`. */
  readonly delimiter?: string;
  /** One ASCII character, or `false` where quotes are ordinary text. Default `"`; doubled inside a quoted field. */
  readonly quote?: string | false;
  /** `true`: the first row names the columns (default). `false`: they are `column1`, `column2`, … A list names them. */
  readonly header?: boolean | readonly string[];
  /** Whether quoted fields may hold newlines. Default `true`; `false` saves a scan of big files before they are split. */
  readonly multiline?: boolean;
  /** What a row with too few or too many fields is. Default `'fail'`; `'pad'` fills up with empty fields and drops the rest. */
  readonly ragged?: 'fail' | 'pad';
}

export interface Source<C extends Columns, Out> {
  /** Default: told from content and name, object by object. */
  readonly format?: Format;
  /** Default: told from content and name, object by object. */
  readonly compression?: Compression;
  readonly csv?: CsvOptions;
  /** Which columns to read, and optionally their types. Default: all, as they are. */
  readonly columns?: C;
  /** Which rows to read; the others are counted as filtered. */
  readonly where?: Where;
  /** Any Standard Schema validator (zod, valibot, arktype); it types the row, and a row that it refuses is a failure. */
  readonly schema?: StandardSchema<Out>;
  /** For messages from elsewhere: what names a message for ever. The same id is applied once. */
  readonly id?: (row: Row) => string | number | bigint;
  /**
   * For messages from elsewhere: when the message happened (a number is milliseconds since 1970, a text ISO 8601). With it
   * keys need not be kept for ever, only for `limits.keyHorizonMs`. The same message must always give the same time.
   */
  readonly time?: (row: Row) => Date | number | string;
}

/** What `transform` gave: one message, many, or none. */
export type MessageOf<Output> = Output extends null | undefined | void
  ? never
  : Output extends readonly (infer M)[]
    ? M
    : Output;

/** Something worth telling about a group or a message. */
export interface Finding {
  /** What kind of finding, for counting and filtering: `late-lane`. */
  readonly kind: string;
  readonly message: string;
  /** Default `info`. */
  readonly severity?: 'info' | 'warning' | 'critical';
  /** More about it; plain data. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface Analyze<M, A extends Measures> {
  /** Which group a message belongs to. */
  readonly groupBy: (message: M) => string | number | bigint;
  readonly measures: A;
  /** Worked out from a group's merged measures when results are read. */
  readonly findings?: (
    group: string,
    measures: NoInfer<MeasureValues<A>>,
  ) => readonly Finding[] | Finding | null | undefined;
  /** A finding about one message, kept with its position. */
  readonly flag?: (message: M) => Finding | null | undefined;
}

export interface PipelineDeclaration<C extends Columns, Out, Output, A extends Measures> {
  /** Letters, digits, `-` and `_`; up to 64. */
  readonly name: string;
  /** A whole number from 1. Raise it when declared data changes: the new results stand beside the old ones. */
  readonly version: number;
  readonly source: Source<C, Out>;
  /** Pure: the same row always gives the same messages. Throw a `DomainError` to reject the row. */
  readonly transform: (row: unknown extends Out ? RowOf<C> : Out) => Output;
  /** Which partition a message goes to: equal values, same partition. Default: whole frames are dealt round. */
  readonly partitionBy?: (message: NoInfer<MessageOf<Output>>) => string | number | bigint;
  readonly analyze: {
    readonly groupBy: (message: NoInfer<MessageOf<Output>>) => string | number | bigint;
    /** By name. A function is given `count`, `sum`, … typed by the message. */
    readonly measures: A | ((of: MeasuresOf<NoInfer<MessageOf<Output>>>) => A);
    readonly findings?: (
      group: string,
      measures: NoInfer<MeasureValues<A>>,
    ) => readonly Finding[] | Finding | null | undefined;
    readonly flag?: (message: NoInfer<MessageOf<Output>>) => Finding | null | undefined;
  };
  /** Logical partitions, 1 to 4,096. Default 32. */
  readonly partitions?: number;
  /** How messages travel. Default `packed`; `json` is gzipped JSON Lines that other readers understand. */
  readonly frames?: FrameCodec;
  readonly limits?: Partial<Limits>;
  /** Fields that are masked before a failure keeps its row or message. Default: both are kept whole. */
  readonly mask?: Mask;
}

const PIPELINE = Symbol.for('sluice.pipeline');

/** A pipeline as the use cases see it: checked, with every default filled in. */
export interface Pipeline<M = unknown, A extends Measures = Measures> {
  readonly [PIPELINE]: true;
  readonly name: string;
  readonly version: number;
  readonly source: Source<Columns, unknown>;
  readonly transform: (row: Row) => unknown;
  readonly partitionBy: ((message: M) => string | number | bigint) | undefined;
  readonly analyze: Analyze<M, A>;
  readonly partitions: number;
  readonly frames: FrameCodec;
  readonly limits: Limits;
  readonly mask: Mask | undefined;
}

/** A pipeline whose use cases do not care what its messages are. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyPipeline = Pipeline<any, any>;

/** The names of measures that read something else than the pipeline's messages. */
type Misfits<M, A> = {
  [Name in keyof A]: A[Name] extends Measure<infer Read, unknown>
    ? [M] extends [Read]
      ? never
      : Name
    : never;
}[keyof A];

/** In place of a pipeline, where a measure reads another type than `transform` returns: `satisfies AnyPipeline` shows it. */
export interface MeasureReadsAnotherMessage<Name> {
  readonly error: 'this measure reads a message of another type than transform returns';
  readonly measure: Name;
}

/**
 * Declares a pipeline. It is checked at once, so that a mistake is told where the file is loaded and not row by
 * row.
 *
 * @throws DomainError `E_PIPELINE_INVALID`, naming the field.
 */
export function definePipeline<const C extends Columns, Out, Output, A extends Measures>(
  declaration: PipelineDeclaration<C, Out, Output, A>,
): [Misfits<MessageOf<Output>, A>] extends [never]
  ? Pipeline<MessageOf<Output>, A>
  : MeasureReadsAnotherMessage<Misfits<MessageOf<Output>, A>> {
  checkFields(declaration);
  const { measures } = declaration.analyze ?? {};
  const made = typeof measures === 'function' ? { measures: measures(measuresOf) } : undefined;
  const pipeline: AnyPipeline = {
    [PIPELINE]: true,
    name: declaration.name,
    version: declaration.version,
    source: declaration.source,
    transform: declaration.transform as (row: Row) => unknown,
    partitionBy: declaration.partitionBy as AnyPipeline['partitionBy'],
    analyze: (made === undefined ? declaration.analyze : { ...declaration.analyze, ...made }) as Analyze<
      unknown,
      Measures
    >,
    partitions: declaration.partitions ?? 32,
    frames: declaration.frames ?? 'packed',
    limits: { ...defaultLimits, ...declaration.limits },
    mask: declaration.mask,
  };
  checkPipeline(pipeline);
  return Object.freeze(pipeline) as never;
}

export function isPipeline(value: unknown): value is AnyPipeline {
  return (
    typeof value === 'object' && value !== null && (value as { [PIPELINE]?: unknown })[PIPELINE] === true
  );
}
