import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { functionNames, type FunctionName } from '../src/manifest.ts';
import { resource, resources, templates, textOf } from './synthesize.ts';

interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

function statementsOf(pipeline: Template, name: FunctionName): Statement[] {
  const { Properties: role } = resource(pipeline, 'AWS::IAM::Role', `Pipeline${name}role`);
  return (role['Policies'] as { PolicyDocument: { Statement: Statement[] } }[]).flatMap(
    ({ PolicyDocument }) => PolicyDocument.Statement,
  );
}

/** The matrix: function by function, what it may do to what. */
function matrixOf(pipeline: Template): string {
  const lines: string[] = [];
  for (const name of functionNames) {
    lines.push(name);
    for (const { Sid, Effect, Action, Resource, Condition } of statementsOf(pipeline, name)) {
      lines.push(`  ${Sid ?? 'without a name'}${Effect === 'Allow' ? '' : `: ${Effect}`}`);
      lines.push(`    ${[Action].flat().join(', ')}`);
      for (const one of [Resource].flat()) lines.push(`    on ${textOf(one)}`);
      if (Condition !== undefined)
        lines.push(
          `    if ${JSON.stringify(Condition, (_, value: unknown) => (isExpression(value) ? textOf(value) : value))}`,
        );
    }
    lines.push('');
  }
  return lines.join('\n');
}

function isExpression(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && Object.keys(value).some((key) => /^(Ref|Fn::)/.test(key))
  );
}

describe('what each function may do', () => {
  it('is what the golden matrix says, for a pipeline over a lake', async () => {
    await expect(matrixOf(templates({ lake: 's3://flights/2024/' }).pipeline)).toMatchFileSnapshot(
      'golden/permissions-lake.txt',
    );
  });

  it('is what the golden matrix says, with everything that can be switched on', async () => {
    const { pipeline } = templates(
      {
        lake: 'flights,s3://weather/daily/',
        lakeKey: 'arn:aws:kms:eu-west-1:111122223333:key/lake',
        failureTopic: 'true',
        foreignStreams: 'arn:aws:kinesis:eu-west-1:111122223333:stream/orders',
        schedule: 'rate(1 hour)',
        scheduleLocations: 's3://flights/',
      },
      { keyed: true },
    );
    await expect(matrixOf(pipeline)).toMatchFileSnapshot('golden/permissions-all.txt');
  });

  it('is what the golden matrix says, for results in S3', async () => {
    await expect(matrixOf(templates({ results: 's3' }).pipeline)).toMatchFileSnapshot(
      'golden/permissions-results-in-s3.txt',
    );
  });

  it('names actions one by one, and everything as a resource only where AWS has nothing finer', () => {
    const { pipeline } = templates({ failureTopic: 'true' }, { keyed: true });
    for (const name of functionNames) {
      for (const { Sid, Effect, Action, Resource } of statementsOf(pipeline, name)) {
        expect([Action].flat().filter((action) => action.includes('*'))).toEqual([]);
        if (Effect === 'Allow' && [Resource].flat().includes('*'))
          expect(Sid).toMatch(/^(Trace|LambdaPlugsIn)$/);
      }
    }
  });

  it('is in the roles alone: no policy is added anywhere else, and no managed one', () => {
    const { pipeline, foundation } = templates(
      { failureTopic: 'true', databaseProxy: 'true' },
      { keyed: true },
    );
    expect(resources(pipeline, 'AWS::IAM::Policy')).toEqual({});
    expect(resources(pipeline, 'AWS::IAM::ManagedPolicy')).toEqual({});
    expect(Object.keys(resources(pipeline, 'AWS::IAM::Role'))).toHaveLength(functionNames.length);
    for (const template of [pipeline, foundation])
      for (const { Properties } of Object.values(resources(template, 'AWS::IAM::Role')))
        expect(Properties['ManagedPolicyArns']).toBeUndefined();
    // No custom resource: those bring functions and roles of their own.
    for (const template of [pipeline, foundation])
      expect(
        Object.values(template.toJSON()['Resources'] as object).map(({ Type }) => Type as string),
      ).not.toContainEqual(expect.stringMatching(/^Custom::|CloudFormation::CustomResource/));
  });

  it('leaves the database to those who have a connection, and the stream to those who put', () => {
    const { pipeline } = templates({}, { keyed: true });
    const may = (name: FunctionName) => statementsOf(pipeline, name).flatMap(({ Action }) => [Action].flat());
    expect(functionNames.filter((name) => may(name).includes('rds-db:connect'))).toEqual([
      'dispatch',
      'analyze',
      'reprocess',
    ]);
    expect(functionNames.filter((name) => may(name).includes('kinesis:PutRecords'))).toEqual([
      'transform',
      'reprocess',
    ]);
  });
});
