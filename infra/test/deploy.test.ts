import { spawnSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CreateQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { startFauxqs, type FauxqsServer } from 'fauxqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  outputKeys as outputKeysOfSluice,
  type DeploymentCalls as CallsOfSluice,
} from '../../src/entrypoints/cli/deploy/calls.ts';
import { createDeploymentCalls } from '../src/deployment/index.ts';
import { outputKeys } from '../src/sluice-pipeline.ts';
import { templates } from './synthesize.ts';

const { signal } = new AbortController();

describe('what Sluice and this package agree on', () => {
  it('are the outputs of the stack, and the calls', () => {
    expect(outputKeysOfSluice).toEqual(outputKeys);
    const calls: CallsOfSluice = createDeploymentCalls();
    expect(Object.keys(calls)).toHaveLength(9);
    const outputs = templates().pipeline.toJSON() as { Outputs: Record<string, unknown> };
    for (const key of Object.values(outputKeys)) expect(outputs.Outputs).toHaveProperty(key);
  });
});

describe('calls to SQS and S3', () => {
  let server: FauxqsServer;
  let sqs: SQSClient;

  beforeAll(async () => {
    server = await startFauxqs({ port: 0, logger: false });
    const endpoint = `http://127.0.0.1:${server.port}`;
    for (const [name, value] of Object.entries({
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL: endpoint,
      SLUICE_S3_PATH_STYLE: 'true',
    }))
      vi.stubEnv(name, value);
    sqs = new SQSClient({ useQueueUrlAsEndpoint: false });
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await server.stop();
  });

  it('count messages that wait, that somebody has, and that are delayed', async () => {
    const calls = createDeploymentCalls();
    const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'tasks' }));
    expect(await calls.queueDepth(QueueUrl, signal)).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
    for (const body of ['a', 'b', 'c']) await calls.send(QueueUrl, body, signal);
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'later', DelaySeconds: 900 }));
    await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1 }));
    expect(await calls.queueDepth(QueueUrl, signal)).toEqual({ visible: 2, inFlight: 1, delayed: 1 });
  });

  it('keep a bundle as it is', async () => {
    const s3 = new S3Client({ forcePathStyle: true });
    await s3.send(new CreateBucketCommand({ Bucket: 'state' }));
    const data = new TextEncoder().encode('export const handler = () => ({});');
    await createDeploymentCalls().putObject('state', 'bundles/lanes/b/analyze.mjs', data, signal);
    const { Body } = await s3.send(
      new GetObjectCommand({ Bucket: 'state', Key: 'bundles/lanes/b/analyze.mjs' }),
    );
    expect(await Body?.transformToByteArray()).toEqual(data);
  });

  it('end with the signal’s reason', async () => {
    await expect(
      createDeploymentCalls().queueDepth('http://127.0.0.1/q', AbortSignal.abort()),
    ).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('calls to Lambda and the Data API', () => {
  let server: Server;
  const seen: { path: string; body: string }[] = [];
  let reply: { headers: Record<string, string>; body: string };

  beforeAll(async () => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push({ path: request.url ?? '', body: Buffer.concat(chunks).toString() });
        response.writeHead(200, { 'content-type': 'application/json', ...reply.headers }).end(reply.body);
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });

  beforeEach(() => void seen.splice(0));

  afterAll(async () => {
    vi.unstubAllEnvs();
    await new Promise((resolve) => void server.close(resolve));
  });

  it('call a function and read its reply', async () => {
    reply = { headers: {}, body: '{"schema":"sluice"}' };
    expect(await createDeploymentCalls().invoke('lanes-analyze', { migrate: true }, signal)).toEqual({
      schema: 'sluice',
    });
    expect(seen).toEqual([
      { path: '/2015-03-31/functions/lanes-analyze/invocations', body: '{"migrate":true}' },
    ]);
  });

  it.each([
    ['{"errorType":"DomainError","errorMessage":"no such thing"}', 'no such thing'],
    ['', 'the function failed: Unhandled'],
  ])('throw what a function throws: %s', async (body, message) => {
    reply = { headers: { 'x-amz-function-error': 'Unhandled' }, body };
    await expect(createDeploymentCalls().invoke('lanes-analyze', {}, signal)).rejects.toThrow(message);
  });

  it('run a statement', async () => {
    reply = { headers: {}, body: '{}' };
    const statement = { cluster: 'arn:cluster', secret: 'arn:secret', database: 'sluice', sql: 'SELECT 1' };
    await createDeploymentCalls().executeSql(statement, signal);
    expect(seen.map(({ path, body }) => [path, JSON.parse(body) as unknown])).toEqual([
      [
        '/Execute',
        { resourceArn: 'arn:cluster', secretArn: 'arn:secret', database: 'sluice', sql: 'SELECT 1' },
      ],
    ]);
  });
});

describe('sluice deploy --dry-run', () => {
  it('builds, synthesizes and checks without AWS, and says what it would do', { timeout: 120_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-deploy-'));
    try {
      const run = (...more: string[]) =>
        spawnSync(
          process.execPath,
          [
            fileURLToPath(new URL('../../bin/sluice.js', import.meta.url)),
            'deploy',
            fileURLToPath(new URL('../../examples/lane-performance.ts', import.meta.url)),
            '--dry-run',
            '--stack-name',
            'my-lanes',
            ...more,
          ],
          // Whatever went to AWS or elsewhere would end here.
          {
            cwd: folder,
            encoding: 'utf8',
            env: { PATH: process.env['PATH'] ?? '', HOME: folder, HTTPS_PROXY: 'http://127.0.0.1:9' },
          },
        );
      const { status, stdout } = run('-c', 'lake=flights', '--drain-limit', '2m');
      expect(stdout).toContain('synthesized and checked: my-lanes, sluice-lane-performance');
      expect(stdout).toContain('120 s at most');
      expect(stdout).toMatch(/make the tables.*\n.*goes over to this build\n.*let dispatch go on/);
      expect(status).toBe(0);
      const template = JSON.parse(
        readFileSync(join(folder, 'sluice-build/cdk.out/my-lanes.template.json'), 'utf8'),
      ) as { Outputs: { SluiceBuild: { Value: string } } };
      expect(stdout).toContain(template.Outputs.SluiceBuild.Value.slice(0, 12));

      const refused = run();
      expect(refused.stderr).toContain('lakes is empty');
      expect(refused.stderr).toContain('E_DEPLOY: cdk synth ended with 1');
      expect(refused.status).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
