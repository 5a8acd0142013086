import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKinesisCalls } from '../../../src/adapters/aws/kinesis-client.ts';
import { clientConfig } from './client-config.ts';

const never = new AbortController().signal;

let server: Server;
let connections = 0;
const versions: string[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    versions.push(request.httpVersion);
    request.resume().on('end', () => {
      response.setHeader('content-type', 'application/x-amz-json-1.1');
      response.end('{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"s"}]}');
    });
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

it('requests speak HTTP/1.1 and share a connection that is kept', async () => {
  const calls = createKinesisCalls(
    clientConfig(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
  );
  const record = { key: '0', hash: 1n, data: Uint8Array.of(1) };
  for (let at = 0; at < 5; at++)
    expect(await calls.putRecords('s', [record], never)).toEqual([{ accepted: true }]);
  calls.close();
  expect(versions).toEqual(Array.from({ length: 5 }, () => '1.1'));
  expect(connections).toBe(1);
});
