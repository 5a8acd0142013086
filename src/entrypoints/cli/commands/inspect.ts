import { Command, Option } from 'commander';
import { bindObject } from '../../../application/reading/open-object.ts';
import type {
  Decoder,
  ObjectBytes,
  ObjectDescription,
  ReadOptions,
} from '../../../application/formats/decoder.ts';
import { decoderFor, detect } from '../../../application/formats/index.ts';
import { isDomainError } from '../../../domain/errors.ts';
import type { LakeObject } from '../../../domain/lake-object.ts';
import { defaultLimits } from '../../../domain/limits.ts';
import { pathColumns } from '../../../domain/path-columns.ts';
import type { Compression, Format } from '../../../domain/pipeline.ts';
import type { Row } from '../../../domain/row.ts';
import { startReading } from '../container.ts';
import { errorFields } from '../describe-error.ts';
import { exitCodes } from '../exit-codes.ts';
import { untilInterrupted } from '../interrupt.ts';
import { loadPipeline } from '../load-pipeline.ts';
import { jsonOption, wholeNumber } from '../options.ts';
import { plainValue } from '../plain-value.ts';
import type { Reading } from '../runtime.ts';
import { formatBytes, formatCount } from '../terminal/format.ts';
import { formatCell, plainText, renderTable } from '../terminal/table.ts';
import { terminalOf } from '../terminal/terminal.ts';
import { printable } from '../terminal/text.ts';

interface Flags {
  readonly pipeline?: string;
  readonly format?: Format;
  readonly compression?: Compression;
  readonly rows: number;
  readonly json?: true;
}

/** What `inspect` tells of one object. */
interface Inspection {
  readonly object: string;
  readonly bytes: number;
  readonly version: string;
  readonly description?: ObjectDescription;
  /** Columns that the object's path gives. */
  readonly pathColumns?: Readonly<Record<string, unknown>>;
  /** Sections that a run would make; `null` where only reading it all tells. */
  readonly sections?: number | null;
  readonly splittable?: boolean;
  readonly firstRows?: readonly Row[];
  /** Rows among the first that cannot be read. */
  readonly faults?: readonly {
    readonly coordinate: number;
    readonly code: string;
    readonly message: string;
  }[];
  readonly error?: { readonly code: string; readonly message: string };
}

export function inspectCommand(exitWith: (code: number) => void): Command {
  return new Command('inspect')
    .description('show what is in objects: format, columns, sections that a run would make, first rows')
    .argument('<objects...>', 'files, folders, globs, or s3://bucket/prefix/')
    .option('--pipeline <file>', 'read as this pipeline would: its format, columns and limits')
    .addOption(
      new Option('--format <format>', 'instead of telling it from the content').choices([
        'csv',
        'jsonl',
        'json',
        'parquet',
      ]),
    )
    .addOption(new Option('--compression <compression>', 'likewise').choices(['none', 'gzip', 'zstd']))
    .option('--rows <n>', 'rows to show of each object', wholeNumber(0), 5)
    .addOption(jsonOption())
    .action(async (locations: string[], flags: Flags) => {
      exitWith(await untilInterrupted((signal) => inspect(locations, flags, signal)));
    });
}

async function inspect(locations: readonly string[], flags: Flags, signal: AbortSignal): Promise<number> {
  const reading = startReading();
  const pipeline = flags.pipeline === undefined ? undefined : (await loadPipeline(flags.pipeline)).pipeline;
  const found: Inspection[] = [];
  for (const location of locations) {
    for await (const object of reading.source.list(location, signal)) {
      const inspection = await inspectObject(object, flags, pipeline, reading, signal);
      if (flags.json === true) found.push(inspection);
      else process.stdout.write(render(inspection));
    }
  }
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ objects: found.map(asJson) })}\n`);
  return exitCodes.ok;
}

/** Rows may hold what JSON has no word for. */
function asJson({ firstRows: rows, ...inspection }: Inspection): unknown {
  return rows === undefined ? inspection : { ...inspection, firstRows: rows.map(plainValue) };
}

async function inspectObject(
  object: LakeObject,
  flags: Flags,
  pipeline: Awaited<ReturnType<typeof loadPipeline>>['pipeline'] | undefined,
  reading: Reading,
  signal: AbortSignal,
): Promise<Inspection> {
  const base = { object: `/${object.key}`, bytes: object.size, version: object.version };
  try {
    const bytes = bindObject(object, reading, signal);
    const { format: declaredFormat, compression: declaredCompression } = pipeline?.source ?? {};
    const forced = {
      format: flags.format ?? declaredFormat,
      compression: flags.compression ?? declaredCompression,
    };
    const { format, compression } = await detect(bytes, definedOnly(forced), signal);
    const decoder = await decoderFor(format);
    const fromPath = pathColumns(object.key, pipeline?.source.columns);
    const options: ReadOptions = {
      csv: pipeline?.source.csv,
      columns: pipeline?.source.columns,
      where: undefined,
      limits: pipeline?.limits ?? defaultLimits,
      compression,
      pathColumns: fromPath,
    };
    const layout = await decoder.layout(bytes, options, signal);
    const description = await decoder.describe(bytes, options, signal);
    const { rows, faults } = await firstRows(decoder, bytes, options, flags.rows, signal);
    return {
      ...base,
      description,
      pathColumns: { ...fromPath },
      sections: layout.lastSection === null ? null : layout.lastSection + 1,
      splittable: layout.splittable,
      firstRows: rows,
      faults,
    };
  } catch (thrown) {
    // One object that cannot be read must not keep the others from being shown.
    if (!isDomainError(thrown)) throw thrown;
    return { ...base, error: errorFields(thrown) };
  }
}

function definedOnly(forced: { format: Format | undefined; compression: Compression | undefined }) {
  return {
    ...(forced.format === undefined ? {} : { format: forced.format }),
    ...(forced.compression === undefined ? {} : { compression: forced.compression }),
  };
}

async function firstRows(
  decoder: Decoder,
  bytes: ObjectBytes,
  options: ReadOptions,
  limit: number,
  signal: AbortSignal,
): Promise<{ rows: readonly Row[]; faults: NonNullable<Inspection['faults']> }> {
  const rows: Row[] = [];
  const faults: { coordinate: number; code: string; message: string }[] = [];
  if (limit === 0) return { rows, faults };
  for await (const batch of decoder.read(bytes, { from: 0, to: 0 }, null, options, signal)) {
    rows.push(...batch.rows.slice(0, limit - rows.length));
    faults.push(
      ...batch.faults.slice(0, limit).map(({ coordinate, code, message }) => ({ coordinate, code, message })),
    );
    if (rows.length >= limit || faults.length >= limit) break;
  }
  return { rows, faults };
}

function render(inspection: Inspection): string {
  const {
    object,
    bytes,
    description,
    sections,
    splittable,
    firstRows: rows = [],
    faults = [],
    error,
  } = inspection;
  const lines = [`${printable(object)}  ${formatBytes(bytes)}`];
  if (error !== undefined) lines.push(`  ${error.code}: ${printable(error.message)}`);
  if (description !== undefined) {
    const { format, compression, columns, facts } = description;
    const facts_ = Object.entries(facts).map(
      ([name, value]) => `${name} ${typeof value === 'number' ? formatCount(value) : printable(value)}`,
    );
    const total =
      description.rows === null
        ? 'rows: only reading all of it tells'
        : `${formatCount(description.rows)} rows`;
    lines.push(
      `  ${[format, compression === 'none' ? '' : compression, total, ...facts_].filter((fact) => fact !== '').join(' · ')}`,
    );
    const cut =
      sections === null || sections === undefined ? 'as many as reading it shows' : formatCount(sections);
    lines.push(`  sections: ${cut}${splittable === true ? '' : ', from the start in one task'}`);
    lines.push(`  columns: ${columns.map(({ name, type }) => `${printable(name)} ${type}`).join(', ')}`);
  }
  const fromPath = Object.entries(inspection.pathColumns ?? {});
  if (fromPath.length > 0)
    lines.push(
      `  from the path: ${fromPath.map(([name, value]) => `${printable(name)}=${String(value)}`).join(', ')}`,
    );
  for (const { coordinate, code, message } of faults)
    lines.push(`  ${code} at ${coordinate}: ${printable(message)}`);
  return `${lines.join('\n')}\n${table(rows)}\n`;
}

function table(rows: readonly Row[]): string {
  if (rows.length === 0) return '';
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => names.map((name) => row[name]));
  return renderTable(
    names.map((title) => ({ title, format: asItStands })),
    cells,
    terminalOf(process.stdout),
  );
}

/** Of results numbers are grouped; here they are what the object holds: a year is no 2,024. */
function asItStands(value: unknown): string {
  return typeof value === 'number' ? plainText(value) : formatCell(value);
}
