import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Container } from 'inversify';
import { describe, expect, it } from 'vitest';
import {
  awsFailureModule,
  awsKilledRowsModule,
  awsLakeModule,
  awsQueueModule,
  awsStreamModule,
  awsTokens,
} from '../../../src/adapters/aws/module.ts';
import { ambientModule } from '../../../src/adapters/inmemory/module.ts';
import { InMemoryLog } from '../../../src/adapters/inmemory/log.ts';
import { tokens } from '../../../src/adapters/tokens.ts';
import { clientConfig } from './client-config.ts';

const client = clientConfig('http://127.0.0.1:9');

function container(failureTopicArn?: string): Container {
  const made = new Container();
  made.bind(tokens.log).toConstantValue(new InMemoryLog());
  made.load(
    ambientModule(),
    awsLakeModule({ bucket: 'state', client }),
    awsKilledRowsModule({ bucket: 'state' }),
    awsStreamModule({ streamName: 'frames', partitions: 8, streamRecordBytes: 2_000_000, client }),
    awsQueueModule({
      taskQueueUrl: 'https://queue/tasks',
      dispatchQueueUrl: 'https://queue/orders',
      undeliveredQueueUrl: 'https://queue/undelivered',
      client,
    }),
    awsFailureModule({
      bucket: 'state',
      failureQueueUrl: 'https://queue/failures',
      ...(failureTopicArn === undefined ? {} : { failureTopicArn }),
      payloadToJson: () => 'null',
      client,
    }),
  );
  return made;
}

describe('The bindings of the AWS provider', () => {
  it.each([undefined, 'arn:aws:sns:us-east-1:1:failures'])(
    'make each part and each client once (topic: %s)',
    (topic) => {
      const made = container(topic);
      const { sns: _, topic: __, ...always } = awsTokens;
      const parts = [
        tokens.objectSource,
        tokens.recordSink,
        tokens.taskQueue,
        tokens.errorRouter,
        tokens.killedRows,
        ...Object.values(topic === undefined ? always : awsTokens),
      ];
      for (const part of parts) expect(made.get<unknown>(part)).toBe(made.get<unknown>(part));
      expect(made.isBound(awsTokens.topic)).toBe(topic !== undefined);
    },
  );

  it('leave out the queues that a function has no business with', () => {
    const made = new Container();
    made.load(awsQueueModule({ client }));
    expect(made.isBound(tokens.taskQueue)).toBe(false);
    expect(made.isBound(awsTokens.orders)).toBe(false);
    expect(made.isBound(awsTokens.sqs)).toBe(true);
  });

  it('close the clients with the container', () => {
    const made = container();
    const sqs = made.get(awsTokens.sqs);
    let closed = 0;
    sqs.close = () => void closed++;
    made.unbindAll();
    expect(closed).toBe(1);
  });

  it.each([
    [['awsLakeModule'], ['client-s3']],
    [['awsStreamModule'], ['client-kinesis']],
    [['awsQueueModule'], ['client-sqs']],
    [
      ['awsLakeModule', 'awsStreamModule', 'awsQueueModule'],
      ['client-kinesis', 'client-s3', 'client-sqs'],
    ],
  ])('bring no other client into a bundle: %s', async (modules, clients) => {
    const { metafile } = await build({
      stdin: {
        contents: `import { ${modules.join(', ')} } from './module.ts'; console.log(${modules.join(', ')});`,
        resolveDir: fileURLToPath(new URL('../../../src/adapters/aws', import.meta.url)),
      },
      bundle: true,
      platform: 'node',
      format: 'esm',
      mainFields: ['module', 'main'],
      write: false,
      metafile: true,
      logLevel: 'silent',
    });
    const inputs = Object.values(metafile.outputs).flatMap((output) =>
      Object.entries(output.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
    );
    const found = inputs.flatMap(([path]) => /@aws-sdk\/(client-[a-z0-9]+)\//.exec(path)?.[1] ?? []);
    expect([...new Set(found)].toSorted()).toEqual(clients);
  });
});
