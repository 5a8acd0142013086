import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';

interface Answer {
  readonly name?: string;
  readonly version?: number;
  readonly build?: string;
  readonly messages?: unknown;
  readonly code?: string;
  readonly message?: string;
  readonly cause?: boolean;
}

const run = promisify(execFile);
const driver = fileURLToPath(new URL('load.ts', import.meta.url));
const root = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-loading-')));
let folder = '';
let folders = 0;

beforeEach(() => {
  folder = join(root, String(++folders));
  mkdirSync(folder);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

async function load(...paths: string[]): Promise<Answer[]> {
  const { stdout, stderr } = await run(process.execPath, [driver, ...paths], { cwd: folder });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Answer[];
}

async function loadOne(path: string): Promise<Answer> {
  return (await load(path))[0]!;
}

const pipeline = (body: string, imports = ''): string => `
import { count, definePipeline } from 'sluice';
${imports}
interface Message { readonly value: number }
export default definePipeline({
  name: 'loaded', version: 1, source: {},
  transform: (row): Message => ({ value: ${body} }),
  analyze: { groupBy: () => 'all', measures: { messages: count() } },
});
`;

describe('a pipeline file', () => {
  it('runs in the repository without a build', async () => {
    const example = fileURLToPath(new URL('../../examples/lane-performance.ts', import.meta.url));
    expect(await loadOne(example)).toMatchObject({ name: 'lane-performance', build: expect.any(String) });
  });

  it('gets the Sluice that runs it, outside any package', async () => {
    const file = write('mine.ts', pipeline('Number(row.value) * 2'));
    expect(await loadOne(file)).toMatchObject({ name: 'loaded', version: 1, messages: { value: 40 } });
  });

  it('gets the Sluice that runs it, though another copy is installed beside it', async () => {
    write('node_modules/sluice/package.json', '{"name":"sluice","version":"0.0.1","main":"index.js"}');
    write('node_modules/sluice/index.js', 'throw new Error("the wrong copy")');
    const file = write('mine.ts', pipeline('1'));
    expect(await loadOne(file)).toMatchObject({ name: 'loaded' });
  });

  it('passes it on to the packages that the file imports', async () => {
    write('node_modules/team/package.json', '{"name":"team","version":"1.0.0","main":"index.mjs"}');
    write('node_modules/team/index.mjs', 'export { count, definePipeline } from "sluice";');
    const file = write('mine.ts', pipeline('1').replace("'sluice'", "'team'"));
    expect(await loadOne(file)).toMatchObject({ name: 'loaded' });
  });

  it('may import sluice/testing', async () => {
    const file = write(
      'mine.ts',
      pipeline('typeof testing === "object" ? 1 : 0', `import * as testing from 'sluice/testing';`),
    );
    expect(await loadOne(file)).toMatchObject({ messages: { value: 1 } });
  });

  it.each([
    ['ts', '{}'],
    ['mts', '{}'],
    ['js', '{"type":"module"}'],
    ['mjs', '{"type":"commonjs"}'],
  ])('may be .%s', async (extension, manifest) => {
    write('package.json', manifest);
    const text = pipeline('7');
    const file = write(
      `mine.${extension}`,
      extension.endsWith('ts') ? text : text.replace(/interface.*/, '').replace(': Message', ''),
    );
    const { stdout } = await run(process.execPath, [
      '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON',
      driver,
      file,
    ]);
    expect(JSON.parse(stdout)).toMatchObject([{ name: 'loaded', messages: { value: 7 } }]);
  });

  it('shares a model with another pipeline', async () => {
    write('shared/model.ts', 'export const double = (value: number): number => value * 2;');
    const text = pipeline('double(4)', `import { double } from '../shared/model.ts';`);
    const answers = await load(write('a/one.ts', text), write('b/two.ts', text));
    expect(answers).toMatchObject([{ messages: { value: 8 } }, { messages: { value: 8 } }]);
  });

  it('loaded again gives its code as it is by then, CommonJS models included', async () => {
    write('model.ts', 'export const n: number = 1;');
    write('old.cjs', 'module.exports = { m: 1, inner: require("./inner.cjs") };');
    write('inner.cjs', 'module.exports = 1;');
    const file = write(
      'mine.ts',
      pipeline(
        'n * 100 + old.m * 10 + old.inner',
        `import { n } from './model.ts'; import old from './old.cjs';`,
      ),
    );
    const edit = write(
      'edit.ts',
      `import { writeFileSync } from 'node:fs';
       writeFileSync(new URL('model.ts', import.meta.url), 'export const n: number = 2;');
       writeFileSync(new URL('inner.cjs', import.meta.url), 'module.exports = 3;');`,
    );
    const [before, , after] = await load(file, edit, file);
    expect([before?.messages, after?.messages]).toEqual([{ value: 111 }, { value: 213 }]);
    expect(before?.build).not.toBe(after?.build);
    expect(after?.build).toBe((await loadOne(file)).build);
  });
});

describe('the digest of the build', () => {
  function plant(): string {
    write(
      'model.ts',
      `import data from './data.json' with { type: 'json' }; export const n: number = data.n;`,
    );
    write('data.json', '{ "n": 1 }');
    write(
      'node_modules/lib/package.json',
      '{"name":"lib","version":"1.0.0","main":"index.mjs","dependencies":{"deep":"1"}}',
    );
    write('node_modules/lib/index.mjs', 'import { d } from "deep"; export const l = d;');
    write('node_modules/deep/package.json', '{"name":"deep","version":"1.0.0","main":"index.mjs"}');
    write('node_modules/deep/index.mjs', 'export const d = 1;');
    write('package.json', '{"type":"module"}');
    write('unrelated.ts', 'export const u = 1;');
    return write('mine.ts', pipeline('n + l', `import { n } from './model.ts'; import { l } from 'lib';`));
  }

  it('is the same again, in the same process and in another, and wherever the folder is moved', async () => {
    const [first, second] = await load(plant(), join(folder, 'mine.ts'));
    const moved = join(root, 'moved', 'deeper');
    cpSync(folder, moved, { recursive: true });
    const builds = [first, second, await loadOne(join(moved, 'mine.ts'))].map((answer) => answer?.build);
    expect(builds[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(builds).size).toBe(1);
  });

  it('is the same through a symbolic link', async () => {
    const file = plant();
    symlinkSync(file, join(folder, 'link.ts'));
    expect((await loadOne(join(folder, 'link.ts'))).build).toBe((await loadOne(file)).build);
  });

  it('stays when a file changes that is not loaded', async () => {
    const before = await loadOne(plant());
    write('unrelated.ts', 'export const u = 2;');
    expect((await loadOne(join(folder, 'mine.ts'))).build).toBe(before.build);
  });

  it.each([
    [
      'the pipeline file',
      'mine.ts',
      pipeline('n + l + 1', `import { n } from './model.ts'; import { l } from 'lib';`),
    ],
    ['an imported model', 'model.ts', 'export const n = 1;'],
    ['imported data', 'data.json', '{ "n": 2 }'],
    [
      'a package that it imports',
      'node_modules/lib/package.json',
      '{"name":"lib","version":"1.0.1","main":"index.mjs","dependencies":{"deep":"1"}}',
    ],
    [
      'a package that such a package depends on',
      'node_modules/deep/package.json',
      '{"name":"deep","version":"1.0.1","main":"index.mjs"}',
    ],
  ])('changes with %s', async (_what, path, text) => {
    const before = await loadOne(plant());
    write(path, text);
    const after = await loadOne(join(folder, 'mine.ts'));
    expect(after.name).toBe('loaded');
    expect(after.build).not.toBe(before.build);
  });
});

describe('what is wrong with a pipeline file is said', () => {
  async function refusal(path: string, text?: string): Promise<string> {
    const answer = await loadOne(text === undefined ? join(folder, path) : write(path, text));
    expect(answer.code).toBe('E_PIPELINE_INVALID');
    return answer.message!.replaceAll(folder, '…');
  }

  it('no such file', async () => {
    write('lane-performance.ts', '');
    expect(await refusal('lane-perfomance.ts')).toBe(
      '…/lane-perfomance.ts: there is no such file; did you mean lane-performance.ts?',
    );
    expect(await refusal('none/mine.ts')).toBe('…/none/mine.ts: there is no such file, and no folder …/none');
    expect(await refusal('zzz.ts')).toBe('…/zzz.ts: there is no such file');
  });

  it('a folder, another kind of file', async () => {
    write('some/mine.ts', '');
    expect(await refusal('some')).toBe(
      '…/some: this is a folder; name the pipeline file in it; did you mean mine.ts?',
    );
    expect(await refusal('mine.csv', 'a,b')).toBe(
      '…/mine.csv: a pipeline file ends in .ts, .mts, .js or .mjs',
    );
  });

  it('no pipeline as its default export', async () => {
    expect(await refusal('a.ts', 'export const a = 1;')).toContain(
      'a.ts: has no default export; write: export default definePipeline',
    );
    expect(await refusal('b.ts', 'export default [1];')).toContain(
      'b.ts: its default export is an array, not a pipeline',
    );
    expect(await refusal('c.ts', pipeline('1').replace('export default', 'export const lanes ='))).toContain(
      'c.ts: exports a pipeline as lanes; make it the default export',
    );
  });

  it('a declaration that is refused', async () => {
    expect(await refusal('a.ts', pipeline('1').replace('version: 1', 'version: 0'))).toBe(
      '…/a.ts: version must be a whole number from 1',
    );
  });

  it('TypeScript that leaves code behind, with its line', async () => {
    expect(await refusal('a.ts', 'const a = 1;\nenum B { C }\nexport default a;')).toMatch(
      /^…\/a\.ts:2: TypeScript enum is not supported .*without enums/,
    );
    write('model.ts', '\n\nnamespace N { export const a = 1 }\nexport const n = N.a;');
    expect(await refusal('b.ts', `import './model.ts';`)).toMatch(/^…\/model\.ts:3: .*namespace/i);
  });

  it('a syntax error in TypeScript and in JavaScript, with its line', async () => {
    expect(await refusal('a.ts', 'const a = 1;\nconst b = = 2;')).toMatch(/^…\/a\.ts:2: /);
    write('model.mjs', '\nconst b = = 2;');
    expect(await refusal('b.ts', `import './model.mjs';`)).toMatch(/^…\/model\.mjs:2: Unexpected token/);
    expect(await refusal('c.ts', `import { nothing } from 'node:fs';`)).toMatch(
      /^…\/c\.ts:1: .*does not provide an export/,
    );
  });

  it('a package or a file that is missing', async () => {
    expect(await refusal('a.ts', `import 'not-there';`)).toMatch(
      /Cannot find package 'not-there' .*npm install not-there/,
    );
    write('model.ts', '');
    expect(await refusal('b.ts', `import './modle.ts';`)).toMatch(
      /Cannot find module '…\/modle.ts' .*did you mean model.ts\?$/,
    );
  });

  it('an exception while it is loaded, with its line and its cause', async () => {
    const answer = await loadOne(write('a.ts', 'export default 1;\nthrow new RangeError("boom");'));
    expect(answer).toMatchObject({ code: 'E_PIPELINE_INVALID', cause: true });
    expect(answer.message).toBe(`${folder}/a.ts:2: threw while it was loaded: boom`);
    expect(await refusal('b.ts', 'throw "a string"')).toBe('…/b.ts: threw while it was loaded: a string');
  });
});
