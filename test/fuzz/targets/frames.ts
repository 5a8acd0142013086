import { createHash } from 'node:crypto';
import { crc32, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { digestOf, encodeBody, packFrame, unpackFrame } from '../../../src/application/frames/frame-codec.ts';
import { createMessageEncoding } from '../../../src/application/frames/encodings.ts';
import { encodeValue } from '../../../src/application/values/value-writer.ts';
import type { Failure } from '../../../src/domain/failure.ts';
import type { Frame, FrameBody, FrameHeader } from '../../../src/domain/frame.ts';
import type { FrameCodec } from '../../../src/domain/pipeline.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target, type Verdict } from '../target.ts';

const object = { bucket: 'lake', key: 'a/ü b.csv', version: 'v1', size: 10 };
const position = { kind: 'row', object, coordinate: 5, output: null } as const;
const failure: Failure = {
  id: 'f1',
  position,
  stage: 'transform',
  code: 'E_TRANSFORM',
  message: 'transform threw: no',
  rows: 1,
  payload: encodeValue({ a: 1 }),
};
const described = { generation: 'p@1', build: 'b1', run: 'r1', partition: 7 } as const;
const section = { kind: 'section', object, section: 3, number: 2, epoch: 1, reach: null } as const;
const BODIES: readonly {
  readonly origin: FrameHeader['origin'];
  readonly body: Exclude<FrameBody, { kind: 'messages' }>;
}[] = [
  { origin: section, body: { kind: 'failures', failures: [failure, { ...failure, payload: null }] } },
  { origin: { kind: 'object', object }, body: { kind: 'failures', failures: [failure] } },
  {
    origin: section,
    body: {
      kind: 'section',
      record: {
        section: 3,
        last: true,
        next: 99,
        rows: 4,
        pruned: 0,
        filtered: 1,
        failed: 1,
        transformed: 2,
        messages: 3,
        frames: [[7, 1]],
      },
    },
  },
  {
    origin: { kind: 'keyed', source: 'pipe' },
    body: {
      kind: 'keyed',
      entries: [
        { key: 'k', time: 1_558_776_000_000, messages: [{ a: 1 }], filtered: false, failure: null },
        { key: 'l', time: null, messages: [], filtered: false, failure },
      ],
    },
  },
  {
    origin: { kind: 'redrive', failure: 'f1' },
    body: {
      kind: 'redrive',
      position,
      outputs: [0, 1],
      messages: [{ a: 1 }, 'x'],
      failure: null,
      payload: null,
    },
  },
];

async function frames(): Promise<
  { readonly header: FrameHeader; readonly bytes: Uint8Array; readonly body: Uint8Array }[]
> {
  const made = [];
  for (const codec of ['packed', 'json'] as const satisfies readonly FrameCodec[]) {
    for (const { origin, body } of BODIES) {
      const encoded = encodeBody(body, codec);
      made.push({
        ...(await packFrame({ ...described, origin, codec, body: body.kind, ...encoded })),
        body: encoded.bytes,
      });
    }
    const encoding = createMessageEncoding(codec);
    const writer = encoding.startBody();
    const messages = [
      { lane: 'ZRH-JFK', delay: 3.5 },
      { lane: 'JFK-ZRH', delay: 0, late: true },
      7,
      // Texts that repeat: a dictionary.
      ...['swiss', 'delta', null, 'swiss', 'delta', 'swiss'].map((carrier) => ({ carrier })),
    ];
    messages.forEach((message, i) => writer.add(encoding.encode(message), i * 3, i % 2));
    const bytes = writer.finish();
    made.push({
      ...(await packFrame({
        ...described,
        origin: section,
        codec,
        body: 'messages',
        bytes,
        digest: digestOf(bytes),
      })),
      body: bytes,
    });
  }
  return made;
}

const TOKENS = [
  'SLF1',
  '\x1f\x8b',
  '\x28\xb5\x2f\xfd',
  '\xdd\xff\xff\xff\xff',
  '\xc0',
  '\x80',
  '\x90',
  '\n',
  '{',
  '"format":1',
  '"kind":',
];

/** Records of the stream as they are: nothing that is damaged gets past lengths, checksums and digest. */
export const framesTarget: Target = {
  name: 'frames',
  share: 8,
  isJson: false,
  tokens: TOKENS,
  open: async () => ({
    corpus: (await frames()).map(({ bytes }) => new Uint8Array(bytes)),
    check: (input) => check(input),
  }),
};

/**
 * Frames whose body was damaged before it was packed: checksum and digest of their messages are right, so that what decodes them sees the
 * damage. An input is a frame's number among the sound ones, and the body.
 */
export const frameBodiesTarget: Target = {
  name: 'frame-bodies',
  share: 8,
  isJson: false,
  tokens: TOKENS,
  async open() {
    const sound = await frames();
    return {
      corpus: sound.map(({ body }, number) => new Uint8Array([number, ...body])),
      check(input) {
        const { header } = sound[(input[0] ?? 0) % sound.length] as (typeof sound)[number];
        const body = input.subarray(1);
        return check(packed({ ...header, digest: digestOf(body) }, body));
      },
    };
  },
};

/** Frames whose header says something else, under its own checksum. An input is the JSON of a header. */
export const frameHeadersTarget: Target = {
  name: 'frame-headers',
  share: 8,
  isJson: true,
  tokens: ['null', '"kind":"keyed"', '"format":1', '"codec":"json"', '"body":"section"', '{}', '[]'],
  async open() {
    const sound = await frames();
    return {
      corpus: sound.map(({ header }) => new Uint8Array(Buffer.from(JSON.stringify(header)))),
      check(input) {
        // The body that belongs to it, as far as it still says which.
        const text = Buffer.from(input).toString('utf8');
        const named = /"body":"(\w+)"/.exec(text)?.[1];
        const { body } =
          sound.find(({ header }) => header.body === named && text.includes(`"codec":"${header.codec}"`)) ??
          sound[0]!;
        return check(packedText(input, body, text.includes('"codec":"json"')));
      },
    };
  },
};

/** @throws Error where an accepted frame is not all that a frame must be */
async function check(record: Uint8Array): Promise<Verdict> {
  const { value: frame } = await outcomeOf(['E_FRAME_CORRUPT'], () => unpackFrame(record));
  if (frame === undefined) return 'refused';
  const { header, body } = secondReading(record);
  agree('headers', frame.header, header);
  if (frame.body.kind === 'messages')
    agree('digests', frame.header.digest, createHash('sha256').update(body).digest('hex').slice(0, 32));
  mustBeUsable(frame);
  // Whoever puts it again puts the same: nothing of it was lost on the way.
  if (frame.body.kind !== 'messages') {
    const again = encodeBody(frame.body, frame.header.codec);
    agree('digests after another way', again.digest, frame.header.digest);
  }
  return 'accepted';
}

/** What a frame holds by its layout alone: zlib and JSON. */
function secondReading(record: Uint8Array): { header: unknown; body: Uint8Array } {
  const bytes = Buffer.from(record);
  if (bytes[0] === 0x1f) {
    const text = gunzipSync(bytes);
    const end = text.indexOf('\n');
    return { header: JSON.parse(text.toString('utf8', 0, end)), body: text.subarray(end + 1) };
  }
  const length = bytes.readUInt32BE(4);
  return {
    header: JSON.parse(bytes.toString('utf8', 12, 12 + length)),
    body: zstdDecompressSync(bytes.subarray(12 + length)),
  };
}

/** What `analyze` and the stores read of a frame without looking. */
function mustBeUsable({ header, body }: Frame): void {
  for (const name of ['generation', 'build', 'run'] as const)
    must(typeof header[name] === 'string', `${name} is no text`);
  must(Number.isSafeInteger(header.partition), 'partition is no number');
  const { origin } = header;
  if (origin.kind === 'section' || origin.kind === 'object')
    must(typeof origin.object.key === 'string', 'the object has no key');
  if (origin.kind === 'section')
    must(
      [origin.section, origin.number, origin.epoch].every(Number.isSafeInteger),
      'a section without a number',
    );
  if (origin.kind === 'keyed') must(typeof origin.source === 'string', 'no source');
  if (origin.kind === 'redrive') must(typeof origin.failure === 'string', 'no failure');
  switch (body.kind) {
    case 'messages':
      must(origin.kind === 'section', 'messages of no section');
      must(
        [...body.coordinates, ...body.outputs].every(Number.isSafeInteger),
        'a message without a position',
      );
      must(
        body.messages.length === body.coordinates.length && body.messages.length === body.outputs.length,
        'positions are missing',
      );
      return;
    case 'failures':
      must(origin.kind === 'section' || origin.kind === 'object', 'failures of no object');
      body.failures.forEach(mustBeFailure);
      return;
    case 'section':
      must(origin.kind === 'section', 'a record of no section');
      must(
        body.record.frames.every(
          ([partition, count]) => Number.isSafeInteger(partition) && Number.isSafeInteger(count),
        ),
        'frames without a number',
      );
      must(
        [body.record.rows, body.record.messages, body.record.next].every(Number.isSafeInteger),
        'rows are no number',
      );
      return;
    case 'keyed':
      must(origin.kind === 'keyed', 'entries of no source');
      for (const entry of body.entries) {
        must(typeof entry.key === 'string' && Array.isArray(entry.messages), 'an entry without a key');
        must(entry.time === null || typeof entry.time === 'number', 'an entry without a time');
        if (entry.failure !== null) mustBeFailure(entry.failure);
      }
      return;
    case 'redrive':
      must(origin.kind === 'redrive', 'a redrive of no failure');
      must(body.outputs.length === body.messages.length, 'outputs are missing');
      mustBePosition(body.position);
      if (body.failure !== null) mustBeFailure(body.failure);
  }
}

function mustBeFailure(each: Failure): void {
  must(
    [each.id, each.stage, each.code, each.message].every((text) => typeof text === 'string'),
    'a failure without a text',
  );
  must(Number.isSafeInteger(each.rows), 'a failure without rows');
  must(each.payload === null || each.payload instanceof Uint8Array, 'a payload that is no bytes');
  mustBePosition(each.position);
}

function mustBePosition(each: Failure['position']): void {
  must(each.output === null || Number.isSafeInteger(each.output), 'an output that is no number');
  if (each.kind === 'row')
    must(
      typeof each.object.bucket === 'string' && typeof each.object.key === 'string',
      'a position without an object',
    );
  else must(typeof each.source === 'string' && typeof each.key === 'string', 'a position without a key');
}

function packed(header: FrameHeader, body: Uint8Array): Uint8Array {
  return packedText(Buffer.from(JSON.stringify(header)), body, header.codec === 'json');
}

function packedText(header: Uint8Array, body: Uint8Array, isJson: boolean): Uint8Array {
  if (isJson) return gzipSync(Buffer.concat([header, Buffer.from('\n'), body]), { level: 1 });
  const prefix = Buffer.alloc(12);
  prefix.write('SLF1', 'latin1');
  prefix.writeUInt32BE(header.length, 4);
  prefix.writeUInt32BE(crc32(header), 8);
  return Buffer.concat([prefix, header, zstdCompressSync(body)]);
}
