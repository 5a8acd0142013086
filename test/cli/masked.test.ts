import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { Scratch } from './harness.ts';

const CANARY = 'anna-4711';

const source = (mask: string, mended: boolean) => `
import { count, definePipeline } from 'sluice';
export default definePipeline({
  name: 'people', version: 1, ${mask}
  source: { columns: ['id', 'email'] },
  transform: ({ id, email }) => {
    if (${!mended} && id === '2') throw new Error('no such row');
    return { id, mail: email };
  },
  analyze: {
    groupBy: ({ id }) => {
      if (${!mended} && id === '3') throw new Error('no such message');
      return id;
    },
    measures: { people: count() },
  },
});`;

const lake = `id,email\n1,x@y\n2,${CANARY}@y\n3,${CANARY}@y\n4,${CANARY}@y,too many\n`;

/** Every file that a run has written, as bytes. */
async function written(scratch: Scratch): Promise<string> {
  const files = await readdir(scratch.path('sluice-out'), { recursive: true, withFileTypes: true });
  const texts = files
    .filter((file) => file.isFile())
    .map((file) => readFile(`${file.parentPath}/${file.name}`, 'latin1'));
  return (await Promise.all(texts)).join('\n');
}

describe('a pipeline with masked fields', { timeout: 120_000 }, () => {
  test('writes none of them to the disk, shows what is masked, and redrives by reading again', async () => {
    await using scratch = await Scratch.make();
    const mask = `mask: { rows: ['email'], messages: ['mail'] },`;
    await scratch.write('people.ts', source(mask, false));
    await scratch.write('lake.csv', lake);
    expect((await scratch.run('people.ts', 'lake.csv')).code).toBe(2);
    const files = await written(scratch);
    expect(files).not.toContain(CANARY);
    expect(files).toContain('"email":{"$masked":true}');

    const { answer } = await scratch.json<{ failures: { id: string; stage: string }[] }>('failures', 'list');
    const shown: Record<string, object> = {};
    for (const { id, stage } of answer.failures)
      shown[stage] = (await scratch.json('failures', 'show', id)).answer;
    expect(shown['transform']).toMatchObject({
      payload: { id: '2', email: { $masked: true } },
      masked: ['email'],
    });
    expect(shown['analyze']).toMatchObject({ payload: { mail: { $masked: true } }, masked: ['mail'] });
    expect(shown['read']).toMatchObject({ payload: null });
    expect(shown['read']).not.toHaveProperty('masked');

    await scratch.write('people.ts', source(mask, true));
    const redriven = await scratch.json('failures', 'redrive', 'people.ts');
    expect(redriven.answer).toMatchObject({ redriven: 3, closed: 2, failedAgain: 1, notRedrivable: [] });
    expect(await written(scratch)).not.toContain(CANARY);
  });
});
