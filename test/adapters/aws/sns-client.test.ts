import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { createSnsCalls } from '../../../src/adapters/aws/sns-client.ts';
import { credentials, region } from './s3-twin.ts';
import { never } from './surroundings.ts';

const ANSWER = `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>
  <Successful><member><Id>1</Id><MessageId>m1</MessageId></member></Successful>
  <Failed>
    <member><Id>0</Id><Code>InternalError</Code><Message>later</Message><SenderFault>false</SenderFault></member>
    <member><Id>2</Id><Code>InvalidParameter</Code><SenderFault>true</SenderFault></member>
    <member><Id>3</Id><Code>Throttled</Code><SenderFault>true</SenderFault></member>
  </Failed>
</PublishBatchResult></PublishBatchResponse>`;

it('tells of each message what became of it, and whether to try again', async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/xml' }).end(ANSWER);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const calls = createSnsCalls({ endpoint, region, credentials });
  try {
    const messages = Array.from({ length: 5 }, (_, at) => ({ body: `m${at}` }));
    expect(await calls.sendBatch('arn:aws:sns:us-east-1:000000000000:t', messages, never)).toEqual([
      { sent: false, retryable: true, message: 'InternalError: later' },
      { sent: true },
      { sent: false, retryable: false, message: 'InvalidParameter' },
      { sent: false, retryable: true, message: 'Throttled' },
      { sent: false, retryable: true, message: 'the topic did not say what became of it' },
    ]);
  } finally {
    calls.close();
    server.close();
    server.closeAllConnections();
  }
});
