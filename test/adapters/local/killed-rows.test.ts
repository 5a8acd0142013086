import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { KILLED_ROWS_FILE, LocalKilledRows } from '../../../src/adapters/local/killed-rows.ts';
import type { KilledRow, KilledScope } from '../../../src/domain/ports/killed-rows.ts';
import { unstopped } from '../../../src/testing/harness.ts';
import { removeFolder, scratchFolder } from './scratch.ts';

const scope: KilledScope = {
  generation: 'lanes@1',
  build: 'A',
  object: { bucket: 'file:', key: 'lake/a.csv', version: 'v1', size: 100 },
};
const row = (coordinate: number): KilledRow => ({ section: 0, coordinate, how: 'died', message: 'it died' });

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await scratchFolder();
  try {
    await test(folder);
  } finally {
    await removeFolder(folder);
  }
}

describe('LocalKilledRows', () => {
  it('keeps what comes after a line that was torn, at every byte', () =>
    inFolder(async (folder) => {
      await new LocalKilledRows(folder).add(scope, row(5), unstopped);
      const whole = await readFile(path.join(folder, KILLED_ROWS_FILE));
      for (let length = 0; length <= whole.length; length++) {
        const torn = path.join(folder, `torn-${length}`);
        await mkdir(torn);
        await writeFile(path.join(torn, KILLED_ROWS_FILE), whole.subarray(0, length));
        const killed = new LocalKilledRows(torn);
        await killed.add(scope, row(6), unstopped);
        expect((await killed.of(scope, unstopped)).at(-1)).toEqual(row(6));
        await killed.add(scope, row(5), unstopped);
        expect(await killed.of(scope, unstopped)).toEqual([row(5), row(6)]);
      }
    }));

  it('passes over lines that are no verdicts', () =>
    inFolder(async (folder) => {
      const killed = new LocalKilledRows(folder);
      await killed.add(scope, row(5), unstopped);
      const line = JSON.parse((await readFile(path.join(folder, KILLED_ROWS_FILE), 'utf8')).trim()) as object;
      for (const other of [
        { coordinate: '7' },
        { coordinate: 7, how: 'slept' },
        { coordinate: 7, message: 1 },
      ])
        await appendFile(
          path.join(folder, KILLED_ROWS_FILE),
          `${JSON.stringify({ ...line, ...other })}\n[]\nnull\n7\n`,
        );
      expect(await killed.of(scope, unstopped)).toEqual([row(5)]);
    }));

  it('says where a verdict could not be written or read', () =>
    inFolder(async (folder) => {
      const out = path.join(folder, 'out');
      await writeFile(out, 'a file where the folder should be');
      const killed = new LocalKilledRows(out);
      await expect(killed.add(scope, row(5), unstopped)).rejects.toMatchObject({ code: 'E_OUTPUT' });
      await expect(killed.of(scope, unstopped)).rejects.toMatchObject({ code: 'E_OUTPUT' });
    }));
});
