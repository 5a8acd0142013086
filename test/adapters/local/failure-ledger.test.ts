import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FailureLedger } from '../../../src/adapters/local/failure-ledger.ts';
import type { RoutedFailure } from '../../../src/domain/ports/error-router.ts';
import { removeFolder, scratchFolder } from './scratch.ts';

const never = new AbortController().signal;

let folder = '';
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => removeFolder(folder));

function ledger(): FailureLedger {
  return new FailureLedger({
    folder,
    payloadToJson: (payload) => new TextDecoder('utf-8', { fatal: true }).decode(payload),
  });
}

function routed(
  id: string,
  failure: Partial<RoutedFailure['failure']> = {},
  rest: Partial<RoutedFailure> = {},
): RoutedFailure {
  return {
    generation: 'flights@1',
    pipeline: 'flights',
    version: 1,
    run: 'r1',
    build: 'b1',
    route: 'dead-letter',
    at: Date.UTC(2019, 4, 5, 23, 59, 59, 999),
    ...rest,
    failure: {
      id,
      position: {
        kind: 'row',
        object: { bucket: 'file:', key: 'lake/a.csv', version: 'v1', size: 9 },
        coordinate: 12,
        output: null,
      },
      stage: 'transform',
      code: 'E_TRANSFORM',
      message: 'no',
      rows: 1,
      payload: null,
      ...failure,
    },
  };
}

const file = () => path.join(folder, 'failures/pipeline=flights/yyyy=2019/mm=05/dd=05/r1.jsonl');
const lines = async () =>
  (await readFile(file(), 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
const bytes = (text: string) => new TextEncoder().encode(text);

describe('FailureLedger', () => {
  it('writes a failure as one line that tells all of it', async () => {
    await ledger().route([routed('f1', { payload: bytes('{"a": 1,\n"__proto__": 2}') })], never);
    const text = await readFile(file(), 'utf8');
    expect(text).toBe(
      '{"id":"f1","at":"2019-05-05T23:59:59.999Z","pipeline":"flights","version":1,"generation":"flights@1","run":"r1","build":"b1",' +
        '"route":"dead-letter","stage":"transform","code":"E_TRANSFORM","message":"no","rows":1,' +
        '"object":{"bucket":"file:","key":"lake/a.csv","version":"v1","size":9},"coordinate":12,"output":null,' +
        '"payload":{"a":1,"__proto__":2}}\n',
    );
  });

  it('keeps a payload that cannot be decoded as it is', async () => {
    await ledger().route(
      [routed('f1', { payload: Uint8Array.of(255, 0) }), routed('f2', { payload: bytes('no json') })],
      never,
    );
    expect(await lines()).toMatchObject([{ payloadBase64: '/wA=' }, { payloadBase64: 'bm8ganNvbg==' }]);
  });

  it('cuts off what a killed process left half written, and nothing else', async () => {
    await ledger().route([routed('f1'), routed('f2')], never);
    await appendFile(file(), `{"id":"half","message":"${'x'.repeat(200_000)}`);
    const again = ledger();
    await again.route([routed('f3')], never);
    await again.route([routed('f4')], never);
    expect(await lines()).toMatchObject([{ id: 'f1' }, { id: 'f2' }, { id: 'f3' }, { id: 'f4' }]);
    await writeFile(file(), '{"only": "half');
    await ledger().route([routed('f5')], never);
    expect(await lines()).toMatchObject([{ id: 'f5' }]);
  });

  it('stays in its folder, whatever a name looks like', async () => {
    await ledger().route([routed('f1', {}, { pipeline: '../../x', run: 'a/b' })], never);
    const odd = path.join(folder, 'failures/pipeline=%2e%2e%2f%2e%2e%2fx/yyyy=2019/mm=05/dd=05/a%2fb.jsonl');
    expect(JSON.parse(await readFile(odd, 'utf8'))).toMatchObject({ id: 'f1', pipeline: '../../x' });
  });

  it('says E_OUTPUT where it cannot write, and goes on afterwards', async () => {
    const broken = new FailureLedger({ folder: path.join(folder, 'file'), payloadToJson: String });
    await writeFile(path.join(folder, 'file'), '');
    await expect(broken.route([routed('f1')], never)).rejects.toMatchObject({
      code: 'E_OUTPUT',
      retryable: false,
    });
    await removeFolder(path.join(folder, 'file'));
    await broken.route([routed('f2')], never);
  });
});
