import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFile, chmod, mkdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SystemClock } from '../../../src/adapters/inmemory/clock.ts';
import { InMemoryLog } from '../../../src/adapters/inmemory/log.ts';
import { LocalObjectSource } from '../../../src/adapters/local/object-source.ts';
import { VersionCache } from '../../../src/adapters/local/version-cache.ts';
import type { LakeObject } from '../../../src/domain/lake-object.ts';
import { openFilesUnder, removeFolder, scratchFolder } from './scratch.ts';

const never = new AbortController().signal;
const clock = new SystemClock();
/** Long enough ago for its time to be believed, by other processes too. */
const LONG_AGO = new Date('2019-05-25T12:00:00Z');

let folder = '';
let out = '';
let log = new InMemoryLog();

beforeEach(async () => {
  folder = await scratchFolder();
  out = path.join(folder, 'out');
  log = new InMemoryLog();
});

afterEach(() => removeFolder(folder));

/** `now`: where the clock stands, so that a file just written counts as old. */
function lake({
  outputFolder = out,
  now = clock.now() + 60_000,
}: { outputFolder?: string; now?: number } = {}): LocalObjectSource {
  return new LocalObjectSource(
    { clock: { now: () => now, sleep: (ms, signal) => clock.sleep(ms, signal) }, log },
    { outputFolder },
  );
}

async function write(file: string, content = file): Promise<string> {
  const target = path.join(folder, file);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, content);
  return target;
}

/** Paths below the scratch folder. */
async function listed(location: string, source = lake()): Promise<string[]> {
  return (await objects(location, source)).map(({ key }) => path.relative(folder, `/${key}`));
}

async function objects(location: string, source = lake()): Promise<LakeObject[]> {
  const found: LakeObject[] = [];
  for await (const object of source.list(path.resolve(folder, location), never)) found.push(object);
  return found;
}

async function text(source: LocalObjectSource, object: LakeObject): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.read(object, { start: 0, end: object.size }, never)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('LocalObjectSource lists', () => {
  it('a folder with all folders in it, without what is hidden, the output folder and empty folders', async () => {
    for (const file of [
      'lake/b.csv',
      'lake/a/x.csv',
      'lake/a-1.csv',
      'lake/_SUCCESS',
      'lake/.b.csv.crc',
      'lake/_tmp/c.csv',
      'lake/.git/d',
    ]) {
      await write(file);
    }
    await write('lake/out/results.sqlite');
    await mkdir(path.join(folder, 'lake/empty'));
    expect(await listed('lake', lake({ outputFolder: path.join(folder, 'lake/out') }))).toEqual([
      'lake/a-1.csv',
      'lake/a/x.csv',
      'lake/b.csv',
    ]);
    expect(await listed('lake/empty')).toEqual([]);
  });

  it('what a glob matches, hidden folders only where it names them', async () => {
    for (const file of [
      'lake/a.csv',
      'lake/b.json',
      'lake/yyyy=2019/c.csv',
      'lake/_tmp/d.csv',
      'lake/yyyy=2019/.e.csv',
    ])
      await write(file);
    expect(await listed('lake/*.csv')).toEqual(['lake/a.csv']);
    expect(await listed('lake/**/*.csv')).toEqual(['lake/a.csv', 'lake/yyyy=2019/c.csv']);
    expect(await listed('lake/_tmp/*.csv')).toEqual(['lake/_tmp/d.csv']);
    expect(await listed('lake/*.{csv,json}')).toEqual(['lake/a.csv', 'lake/b.json']);
    expect(await listed('lake/*')).toEqual(['lake/a.csv', 'lake/b.json']);
    expect(await listed('lake/*.parquet')).toEqual([]);
    expect(await listed('nowhere/*.csv')).toEqual([]);
  });

  it('a file by its name, also where that looks like a glob or is hidden', async () => {
    await write('lake/a[1].csv');
    await write('lake/_SUCCESS');
    expect(await listed('lake/a[1].csv')).toEqual(['lake/a[1].csv']);
    expect(await listed('lake/_SUCCESS')).toEqual(['lake/_SUCCESS']);
    await expect(listed('lake/a[2].csv/x')).resolves.toEqual([]);
    await expect(listed('lake/none.csv')).rejects.toMatchObject({ code: 'E_OBJECT_NOT_FOUND' });
    await expect(listed('lake/_SUCCESS/below')).rejects.toMatchObject({ code: 'E_OBJECT_NOT_FOUND' });
  });

  it('each file once, by its real path, whatever links lead to it, in circles too', async () => {
    await write('lake/a/x.csv');
    await write('elsewhere/y.csv');
    await symlink('..', path.join(folder, 'lake/a/up'));
    await symlink('x.csv', path.join(folder, 'lake/a/again.csv'));
    await symlink('../elsewhere', path.join(folder, 'lake/linked'));
    await symlink('lake', path.join(folder, 'lake2'));
    const expected = ['elsewhere/y.csv', 'lake/a/x.csv'];
    expect(await listed('lake')).toEqual(expected);
    expect(await listed('lake2')).toEqual(expected);
    expect(await listed('lake2/a/*.csv')).toEqual(['lake/a/x.csv']);
    expect(await listed('lake2/a/again.csv')).toEqual(['lake/a/x.csv']);
  });

  it('no links that lead nowhere and no pipes, and says so', async () => {
    await write('lake/a.csv');
    await symlink('nowhere', path.join(folder, 'lake/dangling'));
    await symlink('self', path.join(folder, 'lake/self'));
    execFileSync('mkfifo', [path.join(folder, 'lake/pipe')]);
    expect(await listed('lake')).toEqual(['lake/a.csv']);
    expect(
      log.lines.map(({ level, fields }) => `${level} ${path.basename(fields['path'] as string)}`).toSorted(),
    ).toEqual(['warn dangling', 'warn pipe', 'warn self']);
    await expect(listed('lake/pipe')).rejects.toMatchObject({ code: 'E_OBJECT_NOT_FOUND' });
    await expect(listed('lake/self')).rejects.toMatchObject({ code: 'E_OBJECT_NOT_FOUND' });
  });

  it('a folder inside the output folder, because somebody asked for it', async () => {
    await write('out/lake/a.csv');
    expect(await listed('out/lake')).toEqual(['out/lake/a.csv']);
    expect(await listed('out')).toEqual([]);
  });

  it('nothing quietly that it may not read', async () => {
    const file = await write('lake/secret.csv');
    await chmod(folder, 0o755);
    await chmod(file, 0);
    await asOrdinaryUser(() =>
      expect(listed('lake')).rejects.toMatchObject({
        code: 'E_INFRASTRUCTURE',
        retryable: false,
        message: `${file} cannot be read: permission denied (EACCES)`,
      }),
    );
  });

  it('nothing where the system refuses the path itself', async () => {
    await expect(listed('x'.repeat(1_000))).rejects.toMatchObject({
      code: 'E_INFRASTRUCTURE',
      retryable: false,
    });
  });
});

/** Root may read everything. */
async function asOrdinaryUser(test: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    await test();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

describe("a local object's version", () => {
  const digest = (content: string) => createHash('sha256').update(content).digest('hex').slice(0, 32);

  it('is the digest of its content', async () => {
    await write('a.csv', 'content');
    expect(await objects('a.csv')).toEqual([
      { bucket: 'file:', key: path.join(folder, 'a.csv').slice(1), version: digest('content'), size: 7 },
    ]);
  });

  it('is worked out again only when size, time or inode has changed', async () => {
    const file = await write('a.csv', 'old');
    const [first] = (await objects('a.csv')) as [LakeObject];
    const cache = path.join(out, 'versions.jsonl');
    const [line] = (await readFile(cache, 'utf8')).split('\n') as [string];
    expect(JSON.parse(line)).toMatchObject({ key: first.key, version: first.version });

    // A version that only the cache can know shows that the file was not read.
    await writeFile(cache, `${line.replace(first.version, 'f'.repeat(32))}\n`);
    expect((await objects('a.csv'))[0]?.version).toBe('f'.repeat(32));
    await utimes(file, LONG_AGO, LONG_AGO);
    expect((await objects('a.csv'))[0]?.version).toBe(first.version);
    expect((await objects('a.csv'))[0]?.version).toBe(first.version);
    await writeFile(file, 'newer');
    expect((await objects('a.csv'))[0]?.version).toBe(digest('newer'));
  });

  it('is not believed of a file that was written just now: it may be written again within one tick of its clock', async () => {
    const file = await write('a.csv', 'old');
    const { mtimeMs } = await stat(file);
    await objects('a.csv', lake({ now: mtimeMs + 1_000 }));
    await expect(readFile(path.join(out, 'versions.jsonl'))).rejects.toMatchObject({ code: 'ENOENT' });
    const source = lake({ now: mtimeMs + 1 });
    const [object] = (await objects('a.csv', source)) as [LakeObject];
    const before = await stat(file);
    await writeFile(file, 'new');
    await utimes(file, before.atime, before.mtime);
    await expect(text(source, object)).rejects.toMatchObject({ code: 'E_OBJECT_CHANGED' });
  });

  it('is kept only where the file was at rest for longer than a tick, and for other processes only where for longer than any', async () => {
    const file = await write('a.csv', 'content');
    const { mtimeMs, ctimeMs } = await stat(file);
    const kept = vi.spyOn(VersionCache.prototype, 'set');
    try {
      for (const age of [0, 99, 150, 1_999, 2_100])
        await objects('a.csv', lake({ now: Math.max(mtimeMs, ctimeMs) + age }));
      expect(kept.mock.calls.map(([, , durable]) => durable)).toEqual([false, false, true]);
    } finally {
      kept.mockRestore();
    }
  });

  it('survives the loss of its cache, and lines in it that nobody can read', async () => {
    await write('a.csv', 'content');
    await write('b.csv', 'other');
    await objects('a.csv');
    const cache = path.join(out, 'versions.jsonl');
    const [line] = (await readFile(cache, 'utf8')).split('\n') as [string];
    await writeFile(
      cache,
      `no json\n[]\nnull\n{"key":1}\n${line.replace(digest('content'), 'f'.repeat(32))}\n{"key":"tor`,
    );
    const source = lake();
    expect((await objects('a.csv', source))[0]?.version).toBe('f'.repeat(32));
    expect((await objects('b.csv', source))[0]?.version).toBe(digest('other'));
    const lines = (await readFile(cache, 'utf8')).trimEnd().split('\n');
    expect(lines.map((entry) => (JSON.parse(entry) as { version: string }).version)).toEqual([
      'f'.repeat(32),
      digest('other'),
    ]);
    await rm(cache);
    expect((await objects('a.csv'))[0]?.version).toBe(digest('content'));
  });

  it('is also had where the cache cannot be written', async () => {
    await write('a.csv', 'content');
    await write('out', 'a file where the folder should be');
    expect((await objects('a.csv'))[0]?.version).toBe(digest('content'));
  });
});

describe('LocalObjectSource reads', () => {
  it('on where a file was only touched', async () => {
    const file = await write('a.csv', 'content');
    const source = lake();
    const [object] = (await objects('a.csv', source)) as [LakeObject];
    await utimes(file, LONG_AGO, LONG_AGO);
    expect(await text(source, object)).toBe('content');
  });

  it.each<[string, (file: string) => Promise<void>]>([
    ['written to', (file) => writeFile(file, 'x'.repeat(3_000_000))],
    ['appended to', (file) => appendFile(file, 'more')],
    ['cut off', (file) => writeFile(file, '')],
  ])('no byte of a file that is %s while it is read', async (_how, change) => {
    const file = await write('big.csv', 'a'.repeat(3_000_000));
    const source = lake();
    const [object] = (await objects('big.csv', source)) as [LakeObject];
    const chunks: Uint8Array[] = [];
    const read = async () => {
      for await (const chunk of source.read(object, { start: 0, end: object.size }, never)) {
        if (chunks.length === 0) await change(file);
        chunks.push(chunk);
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'E_OBJECT_CHANGED', position: { object } });
    expect(chunks.length).toBe(1);
    expect((await openFilesUnder(folder)) ?? 0).toBe(0);
  });

  it('an object that another process listed', async () => {
    await write('a.csv', 'content');
    const [object] = (await objects('a.csv')) as [LakeObject];
    expect(await text(lake(), object)).toBe('content');
  });
});
