import { mkdir, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { InfrastructureError } from '../../domain/errors.ts';
import type { KilledRow, KilledRows, KilledScope } from '../../domain/ports/killed-rows.ts';

/** Name of the file in the output folder. */
export const KILLED_ROWS_FILE = 'killed-rows.jsonl';

/**
 * Verdicts as JSON Lines in the output folder. A verdict is one append, on the disk when `add` resolves; processes may share the
 * file: what stands first on a row counts. Lines that a power failure tore are passed over.
 *
 * @throws InfrastructureError `E_OUTPUT` where the file cannot be read or written
 */
export class LocalKilledRows implements KilledRows {
  readonly #file: string;

  constructor(outputFolder: string) {
    this.#file = path.join(outputFolder, KILLED_ROWS_FILE);
  }

  async of(scope: KilledScope, signal: AbortSignal): Promise<readonly KilledRow[]> {
    signal.throwIfAborted();
    const first = new Map<number, KilledRow>();
    const place = placeOf(scope);
    for (const line of (await this.#read()).split('\n')) {
      const verdict = parse(line);
      if (verdict?.place !== place || first.has(verdict.row.coordinate)) continue;
      first.set(verdict.row.coordinate, verdict.row);
    }
    return [...first.values()].sort((a, b) => a.coordinate - b.coordinate);
  }

  async add(scope: KilledScope, row: KilledRow, signal: AbortSignal): Promise<void> {
    const known = await this.of(scope, signal);
    if (known.some(({ coordinate }) => coordinate === row.coordinate)) return;
    const { section, coordinate, how, message } = row;
    const line = JSON.stringify({ ...namesOf(scope), section, coordinate, how, message });
    // The first newline ends what a power failure may have torn.
    await this.#append(Buffer.from(`\n${line}\n`, 'utf8'));
  }

  async #read(): Promise<string> {
    try {
      return await readFile(this.#file, 'utf8');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw new InfrastructureError(`The verdicts on rows cannot be read from ${this.#file}`, {
        code: 'E_OUTPUT',
        cause,
      });
    }
  }

  /** One call, so that lines of two processes do not mix. */
  async #append(line: Buffer): Promise<void> {
    try {
      await mkdir(path.dirname(this.#file), { recursive: true });
      const handle = await open(this.#file, 'a');
      try {
        const { bytesWritten } = await handle.write(line);
        if (bytesWritten < line.length)
          throw new Error(`${bytesWritten} of ${line.length} bytes were written`);
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (cause) {
      throw new InfrastructureError(`The verdict on a row cannot be written to ${this.#file}`, {
        code: 'E_OUTPUT',
        cause,
      });
    }
  }
}

function namesOf({ generation, build, object }: KilledScope) {
  const { bucket, key, version } = object;
  return { generation, build, bucket, key, version };
}

function placeOf(scope: KilledScope): string {
  return JSON.stringify(Object.values(namesOf(scope)));
}

function parse(line: string): { readonly place: string; readonly row: KilledRow } | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  const { generation, build, bucket, key, version, section, coordinate, how, message } = fields as Record<
    string,
    unknown
  >;
  if (typeof section !== 'number' || typeof coordinate !== 'number' || typeof message !== 'string')
    return undefined;
  if (how !== 'hung' && how !== 'died') return undefined;
  return {
    place: JSON.stringify([generation, build, bucket, key, version]),
    row: { section, coordinate, how, message },
  };
}
