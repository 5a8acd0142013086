import { describe, expect, it } from 'vitest';
import type { BuildManifest } from '../../../src/entrypoints/cli/build/manifest.ts';
import { checks } from '../../../src/entrypoints/cli/doctor/checks/index.ts';
import { stackOf } from '../../../src/entrypoints/cli/doctor/stack.ts';
import { parseTemplate } from '../../../src/entrypoints/cli/doctor/template.ts';
import { propertiesOf, realManifest, realTemplate, type EditableTemplate } from './real-stack.ts';

function problemsOf(
  plant: (template: EditableTemplate) => void = () => undefined,
  manifest: BuildManifest | undefined = realManifest,
  maxConnections?: number,
) {
  const template = JSON.parse(realTemplate) as EditableTemplate;
  plant(template);
  const stack = stackOf(parseTemplate(JSON.stringify(template), 'template'));
  return checks.flatMap((check) => check(stack, { manifest, maxConnections }));
}

const MAPPING = 'AWS::Lambda::EventSourceMapping';
const FUNCTION = 'AWS::Lambda::Function';
const QUEUE = 'AWS::SQS::Queue';
const frames = (template: EditableTemplate) => propertiesOf(template, MAPPING, 'PipelineFramesToAnalyze');
const variables = (template: EditableTemplate, name: string) =>
  (
    propertiesOf(template, FUNCTION, `Pipeline${name}`)['Environment'] as {
      Variables: Record<string, unknown>;
    }
  ).Variables;

type Plant = readonly [
  code: string,
  severity: 'error' | 'warning',
  what: string,
  plant: (template: EditableTemplate) => void,
];

const plants: readonly Plant[] = [
  [
    'D_PARTIAL_RESPONSES',
    'error',
    'a stream without partial responses',
    (t) => delete frames(t)['FunctionResponseTypes'],
  ],
  [
    'D_PARTIAL_RESPONSES',
    'error',
    'a queue without partial responses',
    (t) => (propertiesOf(t, MAPPING, 'PipelineTasksToTransform')['FunctionResponseTypes'] = []),
  ],
  ['D_ENDLESS_RETRIES', 'error', 'retries by default', (t) => delete frames(t)['MaximumRetryAttempts']],
  ['D_ENDLESS_RETRIES', 'error', 'retries of -1', (t) => (frames(t)['MaximumRetryAttempts'] = -1)],
  ['D_RECORD_AGE', 'warning', 'no maximum age', (t) => delete frames(t)['MaximumRecordAgeInSeconds']],
  [
    'D_RECORD_AGE',
    'warning',
    'an age of the retention',
    (t) => (frames(t)['MaximumRecordAgeInSeconds'] = 86_400),
  ],
  ['D_BISECT', 'warning', 'batches tried whole', (t) => (frames(t)['BisectBatchOnFunctionError'] = false)],
  ['D_ON_FAILURE', 'error', 'no destination', (t) => delete frames(t)['DestinationConfig']],
  [
    'D_ON_FAILURE',
    'warning',
    'a queue as destination',
    (t) =>
      (frames(t)['DestinationConfig'] = {
        OnFailure: { Destination: 'arn:aws:sqs:eu-west-1:111122223333:q' },
      }),
  ],
  [
    'D_DEAD_LETTERS',
    'error',
    'no dead letters',
    (t) => delete propertiesOf(t, QUEUE, 'PipelineOrdersQueue')['RedrivePolicy'],
  ],
  [
    'D_VISIBILITY',
    'error',
    'visibility below the timeout',
    (t) => (propertiesOf(t, QUEUE, 'PipelineTasksQueue')['VisibilityTimeout'] = 299),
  ],
  [
    'D_VISIBILITY',
    'warning',
    'visibility of one timeout',
    (t) => (propertiesOf(t, QUEUE, 'PipelineTasksQueue')['VisibilityTimeout'] = 300),
  ],
  [
    'D_LEASE',
    'error',
    'tries of a stream that end before the claim',
    (t) => (propertiesOf(t, MAPPING, 'PipelineForeignStream0ToTransform')['MaximumRetryAttempts'] = 299),
  ],
  [
    'D_LEASE',
    'error',
    'messages that are received once',
    (t) =>
      (propertiesOf(t, QUEUE, 'PipelineMessagesQueue')['RedrivePolicy'] = {
        deadLetterTargetArn: 'x',
        maxReceiveCount: 1,
      }),
  ],
  [
    'D_FILTERS',
    'error',
    'a filter on frames',
    (t) => (frames(t)['FilterCriteria'] = { Filters: [{ Pattern: '{"data":{"late":[true]}}' }] }),
  ],
  [
    'D_FILTERS',
    'error',
    'a filter on tasks',
    (t) =>
      (propertiesOf(t, MAPPING, 'PipelineTasksToTransform')['FilterCriteria'] = {
        Filters: [{ Pattern: '{"body":{"object":[{"exists":true}]}}' }],
      }),
  ],
  [
    'D_FILTERS',
    'warning',
    'a filter on messages from elsewhere',
    (t) =>
      (propertiesOf(t, MAPPING, 'PipelineMessagesToTransform')['FilterCriteria'] = {
        Filters: [{ Pattern: '{"body":{"lane":[{"exists":true}]}}' }],
      }),
  ],
  [
    'D_RECORD_SIZE',
    'error',
    'records larger than the stream takes',
    (t) => (variables(t, 'transform')['SLUICE_STREAM_RECORD_BYTES'] = '2097152'),
  ],
  [
    'D_RECORD_SIZE',
    'error',
    'records larger than an event',
    (t) => {
      for (const name of ['transform', 'reprocess'])
        variables(t, name)['SLUICE_STREAM_RECORD_BYTES'] = '10485760';
      propertiesOf(t, 'AWS::Kinesis::Stream', 'PipelineFrames')['MaxRecordSizeInKiB'] = 10_240;
    },
  ],
  ['D_PARTITIONS', 'warning', 'more places than partitions', (t) => (frames(t)['ParallelizationFactor'] = 3)],
  [
    'D_TIMEOUT',
    'error',
    'the timeout by default',
    (t) => delete propertiesOf(t, FUNCTION, 'Pipelineanalyze')['Timeout'],
  ],
  [
    'D_RUNTIME',
    'error',
    'Node 20',
    (t) => (propertiesOf(t, FUNCTION, 'Pipelineanalyze')['Runtime'] = 'nodejs20.x'),
  ],
  [
    'D_RECURSION',
    'error',
    'loops that are stopped',
    (t) => delete propertiesOf(t, FUNCTION, 'Pipelinedispatch')['RecursiveLoop'],
  ],
  ['D_ENVIRONMENT', 'error', 'no bucket', (t) => delete variables(t, 'analyze')['SLUICE_BUCKET']],
  [
    'D_ENVIRONMENT',
    'error',
    'no place for results',
    (t) => delete variables(t, 'reprocess')['SLUICE_DATABASE_URL'],
  ],
  [
    'D_ENVIRONMENT',
    'error',
    'no Redis for messages',
    (t) => delete variables(t, 'transform')['SLUICE_REDIS_URL'],
  ],
  [
    'D_CONNECTIONS',
    'error',
    'analyze without a cap',
    (t) => delete propertiesOf(t, FUNCTION, 'Pipelineanalyze')['ReservedConcurrentExecutions'],
  ],
];

describe('the checks of a stack', () => {
  it('find nothing in the stack as it is synthesized', () => {
    expect(problemsOf()).toEqual([]);
  });

  it('let a filter look into records of somebody else’s stream: they are JSON', () => {
    const filter = { Filters: [{ Pattern: '{"data":{"lane":["A"]}}' }] };
    expect(
      problemsOf(
        (t) => (propertiesOf(t, MAPPING, 'PipelineForeignStream0ToTransform')['FilterCriteria'] = filter),
      ),
    ).toEqual([]);
  });

  it.each(plants)('find %s (%s): %s, and nothing else', (code, severity, _, plant) => {
    const problems = problemsOf(plant);
    expect(new Set(problems.map((problem) => `${problem.code} ${problem.severity}`))).toEqual(
      new Set([`${code} ${severity}`]),
    );
    for (const { resource, message, remedy } of problems) {
      expect(JSON.parse(realTemplate)).toHaveProperty(['Resources', resource]);
      expect(message).not.toBe('');
      expect(remedy).not.toBe('');
    }
  });

  it('are all planted for', () => {
    const codes = new Set(plants.map(([code]) => code));
    // What only another build shows is below.
    expect(codes.size + 1).toBe(checks.length);
  });

  it('compare with the build: its digest, the size of its frames', () => {
    const codes = (changes: Partial<BuildManifest>) =>
      problemsOf(undefined, { ...realManifest, ...changes }).map(
        ({ code, severity }) => `${code} ${severity}`,
      );
    expect(new Set(codes({ build: 'c'.repeat(64) }))).toEqual(new Set(['D_BUILD warning']));
    expect(new Set(codes({ maxFrameBytes: 1_048_577 }))).toEqual(new Set(['D_RECORD_SIZE warning']));
    expect(codes({ partitions: 31 })).toEqual(['D_PARTITIONS warning']);
    const withoutBuild = problemsOf((t) => (frames(t)['ParallelizationFactor'] = 10), undefined);
    expect(withoutBuild.map(({ code }) => code)).not.toContain('D_BUILD');
  });

  it('add connections up: half of the database, all of it', () => {
    // dispatch 4, analyze 17, reprocess 4, with two connections each; the latter two with those of a kept bundle besides.
    const severity = (connections: number) =>
      problemsOf(undefined, realManifest, connections).map(
        (problem) => `${problem.code} ${problem.severity}`,
      );
    expect(severity(184)).toEqual([]);
    expect(severity(183)).toEqual(['D_CONNECTIONS warning']);
    expect(severity(91)).toEqual(['D_CONNECTIONS error']);
  });

  it('take results in S3 for a place, too', () => {
    const problems = problemsOf((t) => {
      const analyze = variables(t, 'analyze');
      delete analyze['SLUICE_DATABASE_URL'];
      analyze['SLUICE_RESULTS'] = 's3://state/results/';
    });
    expect(problems).toEqual([]);
  });

  it('know a function by its name where nothing describes it, and leave those of others alone', () => {
    const problems = problemsOf((t) => {
      for (const { Type, Properties } of Object.values(t.Resources))
        if (Type === FUNCTION) delete Properties['Description'];
      t.Resources['Other'] = { Type: FUNCTION, Properties: { FunctionName: 'transform-images', Timeout: 1 } };
      delete variables(t, 'analyze')['SLUICE_BUCKET'];
    });
    expect(problems.map(({ code }) => code)).toEqual(['D_ENVIRONMENT']);
  });
});

describe('a template', () => {
  it('comes as cdk synth writes it, or as CloudFormation answers', () => {
    const plain = parseTemplate(realTemplate, 'a').size;
    expect(
      parseTemplate(JSON.stringify({ TemplateBody: JSON.parse(realTemplate) as unknown }), 'a').size,
    ).toBe(plain);
    expect(parseTemplate(JSON.stringify({ TemplateBody: realTemplate }), 'a').size).toBe(plain);
    expect(() => parseTemplate('Resources:\n  A: 1', 'a.yaml')).toThrow(/a\.yaml is no JSON/);
    expect(() => parseTemplate('{}', 'a.json')).toThrow(/has no Resources/);
  });
});
