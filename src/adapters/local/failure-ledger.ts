import { mkdir, open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { InfrastructureError } from '../../domain/errors.ts';
import { ledgerLine } from '../../domain/ledger-line.ts';
import type { ErrorRouter, RoutedFailure } from '../../domain/ports/error-router.ts';

const NEWLINE = 10;
const TAIL_BYTES = 64 * 1024;

export interface FailureLedgerOptions {
  /** The output folder; `failures/` is made in it when the first failure comes. */
  readonly folder: string;
  /** A failure's payload as JSON text. Where it throws, the line has the payload's bytes instead. */
  readonly payloadToJson: (payload: Uint8Array) => string;
}

/**
 * Failures as JSON Lines (`ledgerLine`), one object a line, in `failures/pipeline=<name>/yyyy=…/mm=…/dd=…/<run>.jsonl` (the day is the
 * failure's, in UTC). A failure that is delivered twice has two lines with the same `id`.
 *
 * ```ts
 * const ledger = new FailureLedger({ folder: out, payloadToJson: (payload) => toTaggedJson(decodeValue(payload)) });
 * ```
 *
 * @throws InfrastructureError `E_OUTPUT` where a file cannot be written
 */
export class FailureLedger implements ErrorRouter {
  readonly #options: FailureLedgerOptions;
  /** Files that end with a whole line, as far as this process knows. */
  readonly #sound = new Set<string>();
  #writing: Promise<void> = Promise.resolve();

  constructor(options: FailureLedgerOptions) {
    this.#options = options;
  }

  async route(failures: readonly RoutedFailure[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const linesByFile = new Map<string, string[]>();
    for (const routed of failures) {
      const file = this.#fileOf(routed);
      const lines = linesByFile.get(file) ?? [];
      linesByFile.set(file, lines);
      lines.push(`${ledgerLine(routed, { toJson: this.#options.payloadToJson, toBase64 })}\n`);
    }
    // One writer at a time: two appends to one file could mix their lines.
    const written = this.#writing.then(async () => {
      for (const [file, lines] of linesByFile) await this.#append(file, lines.join(''));
    });
    this.#writing = written.catch(() => undefined);
    await written;
  }

  #fileOf({ pipeline, run, at }: RoutedFailure): string {
    const [year, month, day] = new Date(at).toISOString().slice(0, 10).split('-') as [string, string, string];
    const folders = ['failures', `pipeline=${safe(pipeline)}`, `yyyy=${year}`, `mm=${month}`, `dd=${day}`];
    return path.join(this.#options.folder, ...folders, `${safe(run)}.jsonl`);
  }

  async #append(file: string, lines: string): Promise<void> {
    const sound = this.#sound.delete(file);
    try {
      await mkdir(path.dirname(file), { recursive: true });
      const handle = await open(file, 'a+');
      try {
        if (!sound) await cutTornLine(handle);
        await handle.appendFile(lines);
      } finally {
        await handle.close();
      }
    } catch (cause) {
      throw new InfrastructureError(`The failures cannot be written to ${file}`, { code: 'E_OUTPUT', cause });
    }
    this.#sound.add(file);
  }
}

function toBase64(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64');
}

/** Names of pipelines and runs are tame already; whatever else comes must not lead to another folder. */
function safe(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, (character) => `%${character.codePointAt(0)?.toString(16)}`);
}

/** A process that was killed while it wrote leaves part of a line, of a failure that is delivered again. */
async function cutTornLine(handle: FileHandle): Promise<void> {
  let end = (await handle.stat()).size;
  const tail = Buffer.allocUnsafe(TAIL_BYTES);
  while (end > 0) {
    const start = Math.max(0, end - TAIL_BYTES);
    const { bytesRead } = await handle.read(tail, 0, end - start, start);
    const newline = tail.subarray(0, bytesRead).lastIndexOf(NEWLINE);
    if (newline >= 0) {
      end = start + newline + 1;
      break;
    }
    end = start;
  }
  await handle.truncate(end);
}
