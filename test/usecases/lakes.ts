import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { InMemoryObjectSource } from '../../src/adapters/inmemory/object-source.ts';

/** What becomes of a row is written in it, so that what must come out can be worked out without the code under test. */
export interface LakeRow {
  readonly id: number;
  readonly lane: string;
  /** Messages that it gives. */
  readonly fan: number;
  /** `ok`; or how `transform` fails: by an error of its own or a DomainError, or with a message that cannot be sent. */
  readonly fate: 'ok' | 'throws' | 'rejects' | 'unsendable' | 'large' | 'nowhere';
  /** Which of its messages fails in `analyze`; 9: none. */
  readonly hurt: number;
  /** Which of its messages is flagged; 9: none. */
  readonly flag: number;
  readonly value: number;
  readonly note: string;
}

export interface LakeFile {
  readonly form: 'csv' | 'csv.gz' | 'jsonl' | 'jsonl.gz' | 'json';
  readonly rows: readonly LakeRow[];
  /** Before which row a line stands that cannot be read; not in JSON arrays. */
  readonly brokenAt: number | null;
}

export const columns = {
  id: 'integer',
  lane: 'string',
  fan: 'integer',
  fate: 'string',
  hurt: 'integer',
  flag: 'integer',
  value: 'number',
  note: 'string',
} as const;

export const SKIPPED = 'skipped';
const lanes = ['ZRH-JFK', 'JFK-ZRH', 'ü', '', SKIPPED];

export const lakeRow: fc.Arbitrary<LakeRow> = fc.record({
  id: fc.nat(),
  lane: fc.constantFrom(...lanes),
  fan: fc.integer({ min: 0, max: 3 }),
  fate: fc.oneof(
    { weight: 6, arbitrary: fc.constant('ok' as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        'throws' as const,
        'rejects' as const,
        'unsendable' as const,
        'large' as const,
        'nowhere' as const,
      ),
    },
  ),
  hurt: fc.constantFrom(9, 9, 9, 0, 1, 2),
  flag: fc.constantFrom(9, 9, 9, 0, 1),
  value: fc.constantFrom(0.1, 0.2, -7, 1e300, -1e300, 3),
  note: fc.constantFrom('', 'x', 'a, b', 'say "hi"', 'two\nlines', 'y'.repeat(90)),
});

export const lakeFile: fc.Arbitrary<LakeFile> = fc.record({
  form: fc.constantFrom('csv', 'csv.gz', 'jsonl', 'jsonl.gz', 'json'),
  rows: fc.array(lakeRow, { maxLength: 30, size: 'max' }),
  brokenAt: fc.option(fc.nat(30), { freq: 3 }),
});

export const lake: fc.Arbitrary<readonly LakeFile[]> = fc.array(lakeFile, { minLength: 1, maxLength: 3 });

export const BUCKET = 'lake';

export function nameOf(index: number, { form }: Pick<LakeFile, 'form'>) {
  return { bucket: BUCKET, key: `day=${index}/rows.${form}` };
}

export function fillLake(source: InMemoryObjectSource, files: readonly LakeFile[]): void {
  files.forEach((file, index) => source.put(nameOf(index, file), contentOf(file)));
}

export function contentOf({ form, rows, brokenAt }: LakeFile): Uint8Array {
  const text = form.startsWith('csv')
    ? csv(rows, brokenAt)
    : form === 'json'
      ? JSON.stringify(rows, null, 1)
      : jsonl(rows, brokenAt);
  const bytes = Buffer.from(text, 'utf8');
  return form.endsWith('.gz') ? gzipSync(bytes) : bytes;
}

function csv(rows: readonly LakeRow[], brokenAt: number | null): string {
  const names = Object.keys(columns) as (keyof LakeRow)[];
  const field = (value: string | number) =>
    /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const lines = rows.map((row) => names.map((name) => field(row[name])).join(','));
  return [names.join(','), ...withBroken(lines, brokenAt, 'too,few')].map((line) => `${line}\n`).join('');
}

function jsonl(rows: readonly LakeRow[], brokenAt: number | null): string {
  const lines = withBroken(
    rows.map((row) => JSON.stringify(row)),
    brokenAt,
    '{"id": 1, broken',
  );
  // An object without a single byte is a fault of its own; a blank line is none.
  return lines.length === 0 ? '\n' : lines.map((line) => `${line}\n`).join('');
}

function withBroken(lines: readonly string[], at: number | null, broken: string): readonly string[] {
  return at === null ? lines : [...lines.slice(0, at), broken, ...lines.slice(at)];
}

export function hasBroken({ form, brokenAt }: LakeFile): boolean {
  return form !== 'json' && brokenAt !== null;
}
