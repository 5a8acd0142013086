import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** How a service of AWS is spoken to. */
export type Protocol = 'json' | 'cbor' | 'query' | 's3';

export interface Operation {
  /** As the SDK names it. */
  readonly name: string;
  readonly protocol: Protocol;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Which operation a request asks for; of the query protocol only its body tells (`operationOfForm`). */
export function operationOf({ method, url, headers }: IncomingMessage): Operation | 'in the form' {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') {
    const name = target.slice(target.lastIndexOf('.') + 1);
    return { name, protocol: headers['content-type']?.includes('cbor') === true ? 'cbor' : 'json' };
  }
  if (headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true) return 'in the form';
  return { name: s3Operation(method ?? 'GET', new URL(url ?? '/', 'http://proxy'), headers), protocol: 's3' };
}

export function operationOfForm(form: Uint8Array): Operation {
  const name = new URLSearchParams(Buffer.from(form).toString()).get('Action') ?? 'Unknown';
  return { name, protocol: 'query' };
}

function s3Operation(method: string, { pathname, searchParams }: URL, headers: IncomingHttpHeaders): string {
  const names = pathname.split('/').filter((part) => part !== '').length;
  const host = (headers.host ?? '').replace(/:\d+$/, '');
  // Virtual-hosted style: the bucket is the host's first label.
  const inHost = !/^[\d.]+$|^\[|^localhost$|^s3[.-]/.test(host) && host.includes('.');
  const ofObject = names + (inHost ? 1 : 0) > 1;
  if (!ofObject) {
    if (method === 'GET') return searchParams.has('list-type') ? 'ListObjectsV2' : 'ListBuckets';
    if (method === 'POST' && searchParams.has('delete')) return 'DeleteObjects';
    if (method === 'PUT') return 'CreateBucket';
    return method === 'HEAD' ? 'HeadBucket' : 'DeleteBucket';
  }
  if (searchParams.has('uploads')) return 'CreateMultipartUpload';
  if (searchParams.has('uploadId')) {
    if (method === 'PUT') return 'UploadPart';
    return method === 'POST' ? 'CompleteMultipartUpload' : 'AbortMultipartUpload';
  }
  if (method === 'PUT') return headers['x-amz-copy-source'] === undefined ? 'PutObject' : 'CopyObject';
  if (method === 'DELETE') return 'DeleteObject';
  return method === 'HEAD' ? 'HeadObject' : 'GetObject';
}

/** How each kind of service says that it is called too often. */
export function throttled(operation: Operation, target: string): WireAnswer {
  if (operation.protocol === 's3') return errorAnswer(operation, 503, 'SlowDown');
  if (operation.protocol === 'query') return errorAnswer(operation, 429, 'Throttled');
  if (target.startsWith('Kinesis'))
    return errorAnswer(operation, 400, 'ProvisionedThroughputExceededException');
  return errorAnswer(
    operation,
    400,
    target.startsWith('AmazonSQS') ? 'RequestThrottled' : 'ThrottlingException',
  );
}

export function failed(operation: Operation, status: 500 | 503): WireAnswer {
  const codes = {
    s3: { 500: 'InternalError', 503: 'ServiceUnavailable' },
    query: { 500: 'InternalFailure', 503: 'ServiceUnavailable' },
    json: { 500: 'InternalFailure', 503: 'ServiceUnavailable' },
    cbor: { 500: 'InternalFailure', 503: 'ServiceUnavailable' },
  };
  return errorAnswer(operation, status, codes[operation.protocol][status]);
}

function errorAnswer({ protocol }: Operation, status: number, code: string): WireAnswer {
  const message = 'Planned by the fault proxy';
  const requestId = 'fault-proxy';
  if (protocol === 's3')
    return {
      status,
      headers: { 'content-type': 'application/xml' },
      body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>${requestId}</RequestId></Error>`,
    };
  if (protocol === 'query')
    return {
      status,
      headers: { 'content-type': 'text/xml' },
      body: `<ErrorResponse><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`,
    };
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-errortype': code },
    body: JSON.stringify({ __type: code, message }),
  };
}
