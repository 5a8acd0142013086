import { describe, expect, it } from 'vitest';
import { checks } from '../../src/entrypoints/cli/doctor/checks/index.ts';
import { stackOf } from '../../src/entrypoints/cli/doctor/stack.ts';
import { parseTemplate } from '../../src/entrypoints/cli/doctor/template.ts';
import type { BuildManifest } from '../src/manifest.ts';
import { BuildFolder } from './build-folder.ts';
import { templates } from './synthesize.ts';

const everything = {
  failureTopic: 'true',
  foreignStreams: 'arn:aws:kinesis:eu-west-1:111122223333:stream/orders',
};
/** What `sluice doctor` looks at. */
const looked =
  /^AWS::(Lambda::(Function|EventSourceMapping)|SQS::Queue|Kinesis::Stream|S3::Bucket|SNS::Topic)$/;

function problemsOf(context: Record<string, string>, keyed: boolean) {
  using folder = new BuildFolder({ keyed });
  const { pipeline, foundation } = templates(context, { keyed });
  const template = new Map(
    [pipeline, foundation].flatMap((one) => [...parseTemplate(JSON.stringify(one.toJSON()), 'synthesized')]),
  );
  const stack = stackOf(template);
  expect(stack.functions.map(({ name }) => name).sort()).toEqual([
    'analyze',
    'dispatch',
    'reprocess',
    'transform',
  ]);
  expect(stack.mappings.length).toBeGreaterThanOrEqual(4);
  const manifest = folder.manifest as Parameters<(typeof checks)[number]>[1]['manifest'] & BuildManifest;
  return checks.flatMap((check) => check(stack, { manifest, maxConnections: undefined }));
}

describe('sluice doctor', () => {
  it.each<[context: Record<string, string>, keyed: boolean]>([
    [{}, false],
    [{ results: 's3' }, false],
    [everything, true],
    [{ shards: '4', databaseProxy: 'true' }, false],
    [{ databaseHost: 'results', databaseResource: 'cluster-A', databaseMaxConnections: '400' }, true],
  ])('finds nothing in the stack with %j', (context, keyed) => {
    expect(problemsOf(context, keyed)).toEqual([]);
  });

  it('warns of what the parameters make slow', () => {
    expect(problemsOf({ shards: '16' }, false).map(({ code }) => code)).toEqual(['D_PARTITIONS']);
  });

  it('is tested in the repository with this stack', async () => {
    const { Resources } = templates(everything, { keyed: true }).pipeline.toJSON() as {
      Resources: Record<string, { Type: string; Properties: object }>;
    };
    const kept = Object.entries(Resources).filter(([, { Type }]) => looked.test(Type));
    const text = JSON.stringify(
      { Resources: Object.fromEntries(kept.map(([id, { Type, Properties }]) => [id, { Type, Properties }])) },
      // Where the code lies is a digest of the file.
      (name, value: unknown) => (name === 'Code' ? undefined : value),
      2,
    );
    await expect(`${text}\n`).toMatchFileSnapshot('../../test/cli/doctor/stack.template.json');
  });
});
